"""``napari-samri export``: a model as one checkpoint that other tools load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError
from napari_samri.jobs import ProgressLine, say

if TYPE_CHECKING:
    import argparse

    from napari_samri.models import LoadedModel

_EPILOG = """\
The file has SAM's own layout, in fp32: the encoder of the model that was tuned, and the tuned
decoder. SAM ViT-B, -L and -H, and what was tuned from them, can be exported.
"""


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser(
        "export", help="write a model as a checkpoint for other tools", epilog=_EPILOG
    )
    parser.add_argument("model", help="id of a model, or a file: a tuned decoder or a checkpoint")
    parser.add_argument("--base", help="model that a decoder was tuned from, if it is not found")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.pth")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Load and write."""
    if options.out.exists() and not options.overwrite:
        message = f"{options.out}: is there already. Give another name, or --overwrite."
        raise InputError(message)
    from napari_samri.models import check_export_path, export_checkpoint, load_model

    check_export_path(options.out)
    progress = ProgressLine().download
    model = load_model(options.model, "cpu", base=options.base, progress=progress)
    export_checkpoint(model, options.out)
    say(_summary(model, options.out))


def _summary(model: LoadedModel, path: Path) -> str:
    text = f"{path}: {model.spec.title} as {model.spec.architecture}"
    seen = model.preprocessing
    if seen.id == "sam":
        return text
    return (
        f"{text}. It expects images as {seen.id} does ({seen.identity}), "
        "which other tools may not do by themselves."
    )
