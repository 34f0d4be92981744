"""``napari-samri VERB ...``: options, messages on stderr, exit codes.

Exit codes: 0 done; 2 bad usage or input, nothing written; 3 done, but some of the input could
not be used and was left out, as listed; 1 anything else. A verb's `run` returns its code, or None
for 0.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import napari_samri
from napari_samri.cli import bank, demo, embed, export, finetune, models, prepare, segment
from napari_samri.cli.console import (
    OutputError,
    current_folder_exists,
    secure_streams,
    silence_stdout,
)
from napari_samri.cli.flags import flag_called
from napari_samri.errors import OptionError, SamriError, TooLargeError
from napari_samri.jobs import EXIT_INPUT, EXIT_OTHER, say, saying_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = (bank, demo, embed, export, finetune, models, prepare, segment)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb and return the exit code."""
    secure_streams()
    if not current_folder_exists():
        say("error: the current folder was deleted; change into one that exists, and try again.")
        return EXIT_INPUT
    options = _parsed(arguments)
    with saying_warnings():
        return _run(options)


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    try:
        return parser().parse_args(arguments)
    except SystemExit:
        _flush()  # the help that was asked for
        raise


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        silence_stdout()


def parser() -> argparse.ArgumentParser:
    """Return the parser of all verbs."""
    result = argparse.ArgumentParser(
        prog="napari-samri", description="Segment MRI by boxes and points."
    )
    result.add_argument("--version", action="version", version=napari_samri.__version__)
    verbs = result.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in VERBS:
        verb.add_parser(verbs)
    return result


def _run(options: argparse.Namespace) -> int:
    try:
        code: int | None = options.run(options)
    except SamriError as error:
        say(f"error: {error}{_flag_for(error)}")
        return EXIT_INPUT
    except KeyboardInterrupt:
        say("interrupted")
        return EXIT_OTHER
    except OutputError as error:
        silence_stdout()
        say(f"error: {error}.")
        return EXIT_OTHER
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        silence_stdout()
        return EXIT_OTHER
    return code or 0


def _flag_for(error: SamriError) -> str:
    """Return what to type, for an error that does not know it is on a command line."""
    if isinstance(error, TooLargeError):
        return f" Add --max-voxels {error.voxels}."
    if isinstance(error, OptionError):
        return f" ({', '.join(map(flag_called, error.options))})"
    return ""
