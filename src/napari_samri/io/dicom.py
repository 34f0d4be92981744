"""DICOM folders with one regular series of slices.

Headers are scanned by pydicom, highdicom decides whether the slices form a regular stack, and
dcm2niix, in a process of its own, turns the series into NIfTI, whose header carries the geometry.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import GeometryError, InputError
from napari_samri.geometry import Volume
from napari_samri.io.dicom_scan import SliceFile, has_dicom_magic, may_hold_dicom, scan_folder
from napari_samri.io.nifti import NiftiReader
from napari_samri.io.nifti_header import MAX_BYTES

if TYPE_CHECKING:
    from pydicom import Dataset

TIMEOUT_S = 600
ORIENTATION_TOLERANCE = 1e-4
# Of the shortest distance between voxels; scanners round positions, so stacks lean a little.
CORNER_TOLERANCE = 0.5


@dataclass(frozen=True)
class DicomReader:
    """Reads a folder that holds one series of single-frame slices, evenly spaced."""

    format_name: str = "a folder of DICOM files"

    def accepts(self, path: Path, head: bytes) -> bool:
        """Take folders of DICOM, and single DICOM files to say that their folder is wanted."""
        return has_dicom_magic(head) or may_hold_dicom(path)

    def read(self, path: Path, max_voxels: int | None = None) -> Volume:
        """Read the folder's series and return it in display order.

        Raises
        ------
        InputError, GeometryError
        """
        if path.is_file():
            message = (
                f"{path}: one DICOM file; expected the folder that holds its series "
                f"({path.parent})."
            )
            raise InputError(message)
        files = _one_series(scan_folder(path), path)
        _check_slices(files, path)
        _check_regular(files, path)
        _check_claim(files, path, max_voxels)
        return _convert(files, path, max_voxels)


def _one_series(files: list[SliceFile], folder: Path) -> list[SliceFile]:
    series: dict[str, list[SliceFile]] = defaultdict(list)
    for file in files:
        series[str(file.header.SeriesInstanceUID)].append(file)
    if len(series) > 1:
        sizes = ", ".join(f"{len(members)}" for members in series.values())
        message = (
            f"{folder}: the folder holds {len(series)} series (of {sizes} files); expected "
            "one. Put the series that you want into a folder of its own."
        )
        raise InputError(message)
    return files


def _check_slices(files: list[SliceFile], folder: Path) -> None:
    """Refuse what is not a stack of single grey slices."""
    for file in files:
        header = file.header
        frames = int(header.get("NumberOfFrames") or 1)
        if frames > 1:
            found = f"{file.path.name} holds {frames} frames"
        elif "MOSAIC" in (header.get("ImageType") or []):
            found = f"{file.path.name} is a mosaic of slices"
        elif int(header.get("SamplesPerPixel") or 1) > 1:
            found = f"{file.path.name} is a colour image"
        elif not _has_position(header):
            found = f"{file.path.name} does not say where it lies in space"
        else:
            continue
        message = f"{folder}: {found}; expected one grey slice per file, with its position."
        raise InputError(message)
    if len(files) < 2:
        message = f"{folder}: the series has one slice; expected at least two."
        raise InputError(message)


def _has_position(header: Dataset) -> bool:
    position, directions = (
        header.get(name) for name in ("ImagePositionPatient", "ImageOrientationPatient")
    )
    return bool(position) and bool(directions) and bool(header.get("PixelSpacing"))


def _check_regular(files: list[SliceFile], folder: Path) -> None:
    """Refuse stacks with missing, repeated, unevenly spaced, sheared or turned slices."""
    from highdicom.spatial import get_series_volume_positions

    headers: list[Any] = [file.header for file in files]
    shapes = {(int(h.Rows), int(h.Columns)) for h in headers}
    directions = np.array([h.ImageOrientationPatient for h in headers], float)
    if len(shapes) > 1 or np.ptp(directions, axis=0).max() > ORIENTATION_TOLERANCE:
        message = (
            f"{folder}: the series mixes slices of different orientations or sizes (a "
            "localizer?); expected parallel slices of one size."
        )
        raise GeometryError(message)
    if len({tuple(h.ImagePositionPatient) for h in headers}) < len(headers):
        message = (
            f"{folder}: several files of the series lie at the same position (echoes, time "
            "points or b-values in one series, or copies); expected one file per slice."
        )
        raise GeometryError(message)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's, of identifiers that break its rules
            spacing, _ = get_series_volume_positions(headers, orientation_tol=ORIENTATION_TOLERANCE)
    except (KeyError, ValueError) as error:
        message = f"{folder}: the headers of the slices make no sense ({error})."
        raise GeometryError(message) from error
    if spacing is None:
        message = (
            f"{folder}: the slices are not evenly spaced along their normal (a slice is "
            f"missing, or the stack is sheared); expected a regular stack of {len(files)}."
        )
        raise GeometryError(message)


def _check_claim(files: list[SliceFile], folder: Path, max_voxels: int | None) -> None:
    """Refuse what claims to be huge before dcm2niix makes room for it."""
    header = files[0].header
    voxels = int(header.Rows) * int(header.Columns) * len(files)
    if voxels > (MAX_BYTES if max_voxels is None else max_voxels):
        message = (
            f"{folder}: the headers claim {voxels:,} voxels, more than are read by default or "
            f"allowed; if that is right, use --max-voxels {voxels} "
            f"(load_volume(..., max_voxels={voxels}))."
        )
        raise InputError(message)


def _convert(files: list[SliceFile], folder: Path, max_voxels: int | None) -> Volume:
    """Turn a series into NIfTI by dcm2niix and read that."""
    with tempfile.TemporaryDirectory(prefix="napari-samri-") as name:
        source, target = Path(name, "in"), Path(name, "out")
        source.mkdir()
        target.mkdir()
        # Links, so that dcm2niix sees this series and nothing else that lies in the folder.
        for number, file in enumerate(files):
            _link(source / f"{number:06d}.dcm", file.path.resolve())
        _run_dcm2niix(source, target, folder)
        images = sorted(target.glob("*.nii"))
        if len(images) != 1:
            message = f"{folder}: dcm2niix made {len(images)} volumes of the series; expected one."
            raise InputError(message)
        volume = NiftiReader().read(images[0], max_voxels)
    if volume.array.ndim != 3 or volume.grid.shape[2] != len(files):
        message = (
            f"{folder}: dcm2niix made a volume of shape {volume.grid.shape} of "
            f"{len(files)} slices; expected one slice per file."
        )
        raise InputError(message)
    _check_placed(volume, files, folder)
    # With "-x i", slices are stacked along the third axis, whichever way they lie.
    grid = replace(volume.grid, path=folder, plane_axis=2)
    return Volume.from_stored(volume.to_stored(volume.array), grid)


def _check_placed(volume: Volume, files: list[SliceFile], folder: Path) -> None:
    """Refuse a volume whose end slices are not where the first and last headers say."""
    ends = np.array(volume.grid.shape[:3]) - 1
    corners = np.array(list(np.ndindex(2, 2, 2))) * ends
    affine = volume.grid.affine
    corners_mm = corners @ affine[:3, :3].T + affine[:3, 3]
    positions_mm = np.array([f.header.ImagePositionPatient for f in files], float) * (-1, -1, 1)
    across = positions_mm @ affine[:3, 2]
    for position_mm in positions_mm[[across.argmin(), across.argmax()]]:
        nearest_mm = np.linalg.norm(corners_mm - position_mm, axis=1).min()
        if nearest_mm > CORNER_TOLERANCE * min(volume.spacing_mm):
            message = (
                f"{folder}: dcm2niix placed a slice {nearest_mm:.3g} mm from where its header "
                "says; the series is not one that can be read safely."
            )
            raise GeometryError(message)


def _link(link: Path, path: Path) -> None:
    try:
        link.symlink_to(path)
    except OSError:  # Windows without the right to make links
        shutil.copyfile(path, link)


def _run_dcm2niix(source: Path, target: Path, folder: Path) -> None:
    import dcm2niix

    command = [dcm2niix.bin, "-b", "n", "-z", "n", "-x", "i", "-f", "%s_%e"]
    command += ["-o", str(target), str(source)]
    try:
        done = subprocess.run(  # noqa: S603  # an argument list, and dcm2niix from its own wheel
            command,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"{folder}: dcm2niix did not finish within {TIMEOUT_S} s."
        raise InputError(message) from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).replace(str(source), str(folder)).splitlines()
        text = " ".join(line for line in lines if "rror" in line or "arning" in line)
        message = f"{folder}: dcm2niix cannot convert the series: {text or lines[-1:]}"
        raise InputError(message)
