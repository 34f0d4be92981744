"""``napari-samri models``: what can be run, and whether its file is here; tuned ones removed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_samri.cli.console import show
from napari_samri.jobs import say
from napari_samri.models import (
    ModelSpec,
    known_models,
    local_path,
    models_dir,
    needed_model,
    remove_tuned,
    unreadable_models,
)

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
    models = known_models()
    specs = models.values()
    states = {spec.id: _state(spec, needed_model(spec, models)) for spec in specs}
    if options.json:
        rows = [spec.as_dict() | {"status": states[spec.id]} for spec in specs]
        rows += [
            {"id": each.name, "status": "unreadable", "description": each.reason}
            for each in unreadable_models()
        ]
        show(json.dumps(rows, indent=2) + "\n")
        return
    width = max(len(spec.id) for spec in specs)
    lines = [f"{spec.id:{width}}  {states[spec.id]:13}  {spec.description}" for spec in specs]
    lines += [
        f"{each.name:{width}}  {'unreadable':13}  {each.reason}" for each in unreadable_models()
    ]
    show("\n".join([*lines, "", f"Checkpoints are kept in {models_dir()}", ""]))


def _state(spec: ModelSpec, needed: ModelSpec) -> str:
    """Say in a word or two how a model can be had; a tuned one is no better than its base."""
    if not spec.available:
        return "not yet"
    if needed.download is None:
        return "tuned" if spec.path is not None else "ready"
    if local_path(needed) is not None:
        return "tuned" if spec.path is not None else "downloaded"
    return "downloadable" if needed.download.url else "by hand"
