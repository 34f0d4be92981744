"""``napari-samri segment``: boxes and points in, a label file on the image's grid out."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.errors import InputError
from napari_samri.filenames import NIFTI_SUFFIXES, check_name, has_suffix
from napari_samri.prompts import SliceRequest, read_requests

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from napari_samri.geometry import Volume
    from napari_samri.segment import SliceMask

_EPILOG = """\
Indices are those of the file's own array, as nibabel gives it; they start at 0. Boxes and points
name voxels along the two axes other than --axis, in ascending order, and boxes include both
ends. Each box is an object of its own; all masks get label 1. For more slices and labels, write
a JSON file for --prompts (see the documentation).
"""


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
    from napari_samri.io import load_volume, save_labels
    from napari_samri.jobs import ProgressLine
    from napari_samri.segment import PostProcessing, load_predictor, paint_labels, segment_slices

    begin = time.perf_counter()
    volume = load_volume(options.image, max_voxels=options.max_voxels)
    progress = ProgressLine()
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
    with _picture_written(options.png, volume, masks):
        save_labels(options.out, paint_labels(volume, masks), volume)
    _report(options, masks, time.perf_counter() - begin)


def _requests(options: argparse.Namespace) -> Sequence[SliceRequest]:
    drawn = bool(options.box or options.point)
    if options.prompts is not None:
        if drawn or any(v is not None for v in (options.axis, options.index, options.time)):
            message = (
                "--prompts replaces --axis, --index, --time, --box and --point; give one or "
                "the other."
            )
            raise InputError(message)
        return read_requests(options.prompts)
    if options.axis is None or options.index is None:
        message = (
            f"{options.image}: --axis and --index are missing; expected both, or "
            "--prompts FILE.json."
        )
        raise InputError(message)
    if not drawn:
        message = f"{options.image}: there is no prompt; expected --box, --point or --prompts."
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
    for name, path, suffixes in (
        ("--out", options.out, NIFTI_SUFFIXES),
        ("--png", options.png, (".png",)),
    ):
        if path is None:
            continue
        check_name(path)
        if not has_suffix(path, suffixes):
            message = f"{name} {path}: expected a name ending in {' or '.join(suffixes)}."
            raise InputError(message)
        if not path.absolute().parent.is_dir():
            message = f"{name} {path}: the folder {path.parent} does not exist; make it first."
            raise InputError(message)
        for source in (options.image, options.prompts):
            if source is not None and _is_same(path, source):
                message = f"{name} {path}: would overwrite {source}; choose another name."
                raise InputError(message)


def _is_same(path: Path, other: Path) -> bool:
    """Tell whether two names, links followed, are of one existing file."""
    try:
        return path.samefile(other)
    except OSError:
        return False


@contextmanager
def _picture_written(
    path: Path | None, volume: Volume, masks: Sequence[SliceMask]
) -> Iterator[None]:
    """Write a picture that appears only if the block, which writes the labels, succeeds."""
    if path is None:
        yield
        return
    from napari_samri.atomic import replacing
    from napari_samri.cli.overlay import picture

    same = [mask for mask in masks if mask.plane == masks[0].plane]
    with replacing(path) as temporary:
        picture(volume, same).save(temporary, format="PNG")
        yield


def _report(options: argparse.Namespace, masks: Sequence[SliceMask], seconds: float) -> None:
    from napari_samri.jobs import say

    voxels = sum(int(mask.mask.sum()) for mask in masks)
    say(f"wrote {options.out}: {voxels:,} voxels on {len(masks)} slices in {seconds:.1f} s")
    for mask in masks:
        if not mask.mask.any():
            request = mask.request
            say(
                f"note: the mask of label {request.label} at axis {request.axis}, index "
                f"{request.index} is empty; try another box or more points."
            )
