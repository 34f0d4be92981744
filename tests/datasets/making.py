"""Made-up data sets: noise with boxes of labels, small and quick to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (12, 14, 4)
AFFINES = {
    "RAS": np.diag([1, 1, 3, 1.0]),
    "PSR": np.array([[0, 0, 2, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]]),
    "oblique": np.array(
        [[0.45, 0.15, 0, 5], [-0.15, 0.45, 0.4, 6], [0, -0.05, 4, 7], [0, 0, 0, 1.0]]
    ),
}


def write(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write a NIfTI file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(array, AFFINES["RAS"] if affine is None else affine).to_filename(path)
    return path


def noise(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """Return a picture that no other seed has."""
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.int16)


def boxes(shape: tuple[int, ...] = SHAPE, label: int = 1) -> np.ndarray:
    """Return labels: 5 by 6 voxels on all slices along the last axis but the first."""
    labels = np.zeros(shape, np.uint8)
    labels[2:7, 3:9, 1:] = label
    return labels


def write_pair(image: Path, labels: Path, seed: int) -> None:
    """Write an image and labels that fit it."""
    write(image, noise(seed))
    write(labels, boxes())


def make_pairs(root: Path, count: int = 3, first: int = 0) -> Path:
    """Write p0_img.nii.gz, p0_seg.nii.gz and so on."""
    for seed in range(first, first + count):
        write_pair(root / f"p{seed}_img.nii.gz", root / f"p{seed}_seg.nii.gz", seed)
    return root


def names(findings: object) -> list[tuple[str, str, str]]:
    """Return (image, labels, patient) of all cases, sorted."""
    root = findings.root
    return sorted(
        (
            case.image.relative_to(root).as_posix(),
            case.labels.relative_to(root).as_posix(),
            case.patient,
        )
        for case in findings.cases
    )


def touch(root: Path, *paths: str) -> Path:
    """Make empty files: layouts go by names."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root
