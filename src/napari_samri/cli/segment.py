"""``napari-samri segment``: boxes and points in, a label file on the image's grid out."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError
from napari_samri.prompts import SliceRequest, read_requests

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from napari_samri.geometry import Volume
    from napari_samri.segment.slices import SliceMask

_EPILOG = """\
Indices are those of the file's own array, as nibabel gives it; they start at 0. Boxes and points
name voxels along the two axes other than --axis, in ascending order, and boxes include both
ends. Each box is an object of its own; all masks get label 1. For more slices and labels, write
a JSON file for --prompts (see the documentation).
"""


@dataclass
class _Drawn:
    """Boxes and points in the order of the command line."""

    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    points: list[tuple[float, float, int]] = field(default_factory=list)


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser(
        "segment", help="segment slices of a volume by boxes and points", epilog=_EPILOG
    )
    parser.add_argument("image", type=Path, help="NIfTI file, or folder of a DICOM series")
    parser.add_argument("--axis", type=int, choices=(0, 1, 2), help="axis of the slice")
    parser.add_argument("--index", type=int, help="index of the slice along that axis")
    parser.add_argument("--time", type=int, help="time point of a 4D image")
    parser.add_argument(
        "--box",
        nargs=4,
        type=float,
        action="append",
        default=[],
        metavar=("LO0", "LO1", "HI0", "HI1"),
        help="first and last voxel of an object; may be repeated",
    )
    parser.add_argument(
        "--point",
        nargs=3,
        type=float,
        action="append",
        default=[],
        metavar=("P0", "P1", "{1,0}"),
        help="a voxel on (1) or off (0) the object; may be repeated",
    )
    parser.add_argument("--prompts", type=Path, metavar="FILE.json", help="many prompts")
    parser.add_argument("--model", default="starter", help="id of a model, or a checkpoint")
    parser.add_argument("--family", help="preprocessing of a checkpoint: sam, medsam, starter")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--out", type=Path, required=True, help="labels to write, .nii.gz")
    parser.add_argument("--png", type=Path, help="also write a picture of the first slice")
    parser.add_argument("--largest-component", action="store_true", help="drop smaller parts")
    parser.add_argument("--fill-holes", action="store_true", help="fill what a mask encloses")
    parser.add_argument("--max-voxels", type=int, help="read images of up to this many voxels")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Segment and write; nothing is written unless everything succeeded."""
    requests = _requests(options)
    _check_outputs(options)
    from napari_samri.cli.console import Progress
    from napari_samri.io import load_volume, save_labels
    from napari_samri.segment.postprocess import PostProcessing
    from napari_samri.segment.predictor import load_predictor
    from napari_samri.segment.slices import paint_labels, segment_slices

    begin = time.perf_counter()
    volume = load_volume(options.image, max_voxels=options.max_voxels)
    progress = Progress()
    predictor = load_predictor(
        options.model, options.device, family=options.family, progress=progress.download
    )
    post = PostProcessing(
        largest_component=options.largest_component, fill_holes=options.fill_holes
    )
    masks = []
    for mask in segment_slices(predictor, volume, requests, post):
        masks.append(mask)
        progress.step(len(masks), len(requests), "slices")
    save_labels(options.out, paint_labels(volume, masks), volume)
    if options.png is not None:
        _write_picture(options.png, volume, masks)
    _report(options, masks, time.perf_counter() - begin)


def _requests(options: argparse.Namespace) -> Sequence[SliceRequest]:
    drawn = bool(options.box or options.point)
    if options.prompts is not None:
        if drawn or options.axis is not None or options.index is not None:
            message = (
                "--prompts replaces --axis, --index, --box and --point; give one or the other."
            )
            raise InputError(message)
        return read_requests(options.prompts)
    if options.axis is None or options.index is None:
        message = "--axis and --index are missing; expected both, or --prompts FILE.json."
        raise InputError(message)
    if not drawn:
        message = "there is no prompt; expected --box, --point or --prompts."
        raise InputError(message)
    return (
        SliceRequest(
            axis=options.axis,
            index=options.index,
            boxes=tuple(tuple(box) for box in options.box),
            points=tuple(_point(point) for point in options.point),
            time=options.time,
        ),
    )


def _point(values: Sequence[float]) -> tuple[float, float, int]:
    first, second, sign = values
    if sign not in {0, 1}:
        message = f"--point ends in {sign:g}; expected 1 (on the object) or 0 (off it)."
        raise InputError(message)
    return first, second, int(sign)


def _check_outputs(options: argparse.Namespace) -> None:
    """Find out early what would only fail after the work was done."""
    if not options.out.name.lower().endswith((".nii", ".nii.gz")):
        message = f"--out {options.out}: expected a name ending in .nii or .nii.gz."
        raise InputError(message)
    for name, path in (("--out", options.out), ("--png", options.png)):
        if path is not None and not path.absolute().parent.is_dir():
            message = f"{name} {path}: the folder {path.parent} does not exist; make it first."
            raise InputError(message)
        if path is not None and path.absolute() == options.image.absolute():
            message = f"{name} {path}: would overwrite the image; choose another name."
            raise InputError(message)


def _write_picture(path: Path, volume: Volume, masks: Sequence[SliceMask]) -> None:
    from napari_samri.cli.overlay import picture, save_picture

    first = masks[0]
    same = [mask for mask in masks if mask.plane == first.plane]
    save_picture(path, picture(volume, same))


def _report(options: argparse.Namespace, masks: Sequence[SliceMask], seconds: float) -> None:
    from napari_samri.cli.console import say

    voxels = sum(int(mask.mask.sum()) for mask in masks)
    say(f"wrote {options.out}: {voxels:,} voxels on {len(masks)} slices in {seconds:.1f} s")
    for mask in masks:
        if not mask.mask.any():
            request = mask.request
            say(
                f"note: the mask of label {request.label} at axis {request.axis}, index "
                f"{request.index} is empty; try another box or more points."
            )
