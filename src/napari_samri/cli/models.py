"""``napari-samri models``: what can be run, and whether its file is here; tuned ones removed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from napari_samri.cli.console import say
from napari_samri.zoo import ModelSpec, known_models, local_path, models_dir, remove_tuned

if TYPE_CHECKING:
    import argparse


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser("models", help="list the known models")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--remove", metavar="ID", help="delete a tuned decoder")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the models, as a table or as JSON, or remove one."""
    if options.remove:
        remove_tuned(options.remove)
        say(f"removed {options.remove}")
        return
    specs = known_models().values()
    if options.json:
        rows = [spec.as_dict() | {"status": status(spec)} for spec in specs]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    width = max(len(spec.id) for spec in specs)
    for spec in specs:
        sys.stdout.write(f"{spec.id:{width}}  {status(spec):13}  {spec.description}\n")
    sys.stdout.write(f"\nCheckpoints are kept in {models_dir()}\n")


def status(spec: ModelSpec) -> str:
    """Say in a word or two how a model can be had."""
    if not spec.available:
        return "not yet"
    if spec.path is not None:
        return "tuned"
    if spec.download is None:
        return "ready"
    if local_path(spec) is not None:
        return "downloaded"
    return "downloadable" if spec.download.url else "by hand"
