"""A made-up data set on disk: oblique, anisotropic volumes, their labels, and a manifest."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from napari_samri.datasets import DataSet, Manifest, Rules, Study, write_manifest
from napari_samri.datasets.loading import aligned_labels
from napari_samri.datasets.measuring import choose_slices
from napari_samri.io import load_volume

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (40, 36, 9)
PATIENCE = 300  # seconds


def make_study(folder: Path, name: str, seed: int, shape: tuple[int, int, int] = SHAPE) -> None:
    """Write NAME_img.nii.gz and NAME_seg.nii.gz with two blocks of labels."""
    generator = np.random.default_rng(seed)
    image = generator.normal(100, 10, shape).astype(np.float32)
    labels = np.zeros(shape, np.uint8)
    x, y = (int(generator.integers(4, 12)) for _ in range(2))
    labels[x : x + 12, y : y + 9, 1:-1] = 1
    labels[x + 14 : x + 24, y + 2 : y + 16, 2:] = 3
    image += 60 * labels
    affine = np.array([[0.9, 0.1, 0, -20], [-0.1, 0.9, 0.2, 5], [0, 0, 4, 7], [0, 0, 0, 1]])
    for array, kind in ((image, "img"), (labels, "seg")):
        nib.save(nib.Nifti1Image(array, affine), folder / f"{name}_{kind}.nii.gz")


def make_manifest(folder: Path, names: list[str], dataset: str = "made-up") -> Path:
    """Write the manifest of studies that `make_study` has written."""
    studies = []
    for name in names:
        image = load_volume(folder / f"{name}_img.nii.gz")
        labels = aligned_labels(image, load_volume(folder / f"{name}_seg.nii.gz"))
        axis = int(np.argmin(image.spatial_shape))
        studies.append(
            Study(
                dataset=dataset,
                patient=name,
                split="train",
                image=f"{name}_img.nii.gz",
                labels=f"{name}_seg.nii.gz",
                axis=axis,
                shape=image.spatial_shape,
                spacing_mm=image.spacing_mm,
                slices=choose_slices(image.array, labels, axis, Rules()).slices,
            )
        )
    path = folder / f"{dataset}.json"
    write_manifest(path, Manifest((DataSet(dataset, str(folder), "pairs"),), tuple(studies)))
    return path


def make_data(folder: Path, studies: int) -> Path:
    """Write a data set and return its manifest's path; each study has eight slices."""
    folder.mkdir(exist_ok=True)
    names = [f"case{number}" for number in range(studies)]
    for seed, name in enumerate(names):
        make_study(folder, name, seed)
    return make_manifest(folder, names)


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def start(
    manifest: Path, out: Path, *options: str, module: str = "napari_samri"
) -> subprocess.Popen[str]:
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", module, "embed", str(manifest), "--out", str(out)),
            *("--device", "cpu", *options),
        ],
        stderr=subprocess.PIPE,
        text=True,
        # All alike: with another number of threads the last bits may differ. And on its own, so
        # that it does not find what other runs have made.
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "NAPARI_SAMRI_STATE": str(out.with_name(f"{out.name}-state")),
        },
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process that has to succeed, and return what it said."""
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return errors
