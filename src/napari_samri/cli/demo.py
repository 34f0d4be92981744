"""``napari-samri demo``: the whole job on the MNI152 template, with pictures and figures."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.cli.console import show
from napari_samri.jobs import say
from napari_samri.prompts import SliceRequest

if TYPE_CHECKING:
    import argparse

    from napari_samri.geometry import Volume

TISSUE_THRESHOLD = 127  # half of a tissue map's 255
LABELS_FILE = "labels.nii.gz"


@dataclass(frozen=True)
class Example:
    """An object of the template, its prompts, and the mask that it is compared with."""

    name: str
    truth: str
    request: SliceRequest


# In the template's own voxels (RAS, 1 mm, shape 197 x 233 x 189).
EXAMPLES = (
    Example(
        "brain, axial, by a box",
        "brain",
        SliceRequest(axis=2, index=100, boxes=((28, 35, 168, 200),), label=1),
    ),
    Example(
        "brain, sagittal, by a box and a point off it",
        "brain",
        SliceRequest(axis=0, index=98, boxes=((35, 0, 203, 148),), points=((195, 8, 0),), label=1),
    ),
    Example(
        "brain, coronal, by two points on it and two off it",
        "brain",
        SliceRequest(
            axis=1,
            index=120,
            points=((60, 95, 1), (136, 95, 1), (10, 20, 0), (186, 20, 0)),
            label=1,
        ),
    ),
    Example(
        "white matter, axial, by a box and points for each side",
        "wm",
        SliceRequest(
            axis=2,
            index=115,
            boxes=((39, 50, 93, 184), (103, 50, 157, 184)),
            points=((72, 128, 1), (124, 128, 1)),
            label=2,
        ),
    ),
)


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser(
        "demo", help="segment the MNI152 T1 template that nilearn carries (extra 'demo')"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("napari-samri-demo"), help="folder for the results"
    )
    parser.add_argument("--model", default="starter", help="id of a model, or a checkpoint")
    parser.add_argument("--no-viewer", action="store_true", help="do not open napari")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Segment the template, write labels and pictures, print Dice, and open napari."""
    from napari_samri.atomic import make_folder
    from napari_samri.cli.overlay import picture, save_picture
    from napari_samri.evaluation import dice
    from napari_samri.io import load_volume, save_labels, template_file
    from napari_samri.segment import load_predictor, paint_labels, segment_slices

    template = template_file()
    volume = load_volume(template)
    make_folder(options.out)
    predictor = load_predictor(options.model)
    say(f"{predictor.spec.title} on {predictor.device}: {predictor.spec.description}")
    masks = list(segment_slices(predictor, volume, [example.request for example in EXAMPLES]))
    save_labels(options.out / LABELS_FILE, paint_labels(volume, masks), volume)
    rows = []
    for number, (example, mask) in enumerate(zip(EXAMPLES, masks, strict=True), start=1):
        score = dice(mask.mask, mask.plane.extract(_truth(example, volume)) > 0)
        rows.append(f"{score:.3f}  {example.name}")
        save_picture(options.out / f"slice-{number}.png", picture(volume, [mask]))
    show("Dice against the template's own masks\n" + "\n".join(rows) + "\n")
    say(f"labels and pictures are in {options.out.absolute()}")
    if not options.no_viewer:
        _open_viewer(template, options.out / LABELS_FILE)


def _truth(example: Example, volume: Volume) -> Volume:
    """Return the mask of a example on the template's grid: the brain itself, or a tissue map."""
    from dataclasses import replace

    from napari_samri.io import load_volume, template_file

    if example.truth == "brain":
        return replace(volume, array=volume.array > 0)
    tissue = load_volume(template_file(example.truth))
    return replace(tissue, array=tissue.array > TISSUE_THRESHOLD)


def _open_viewer(image: Path, labels: Path) -> None:
    """Open napari in a process of its own, where there is a display and a Qt binding."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        say("no display here, so napari was not opened")
        return
    command = [sys.executable, "-m", "napari_samri._napari.show", str(image), str(labels)]
    code = subprocess.run(command, check=False).returncode  # noqa: S603  # our own module
    if code:
        say(f"napari could not be opened (exit code {code}); the results are written all the same")
