"""The command line: one module per verb, one place for exit codes and messages."""

from napari_samri.cli.main import main

__all__ = ["main"]
