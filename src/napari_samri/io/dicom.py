"""DICOM folders with one regular series of slices.

Headers are scanned by pydicom and must agree (`dicom_agreement`) and form a regular stack
(`dicom_stack`). dcm2niix, in a process of its own, decodes the series into NIfTI. The grid is that
of the headers: dcm2niix takes the first gap between slices for all of them, and where positions
are rounded that adds up.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.errors import GeometryError, InputError, TooLargeError
from napari_samri.geometry import Grid, Volume
from napari_samri.io.dicom_agreement import TAGS, check_agreement, check_sense, warn_of_inverted
from napari_samri.io.dicom_scan import (
    SliceFile,
    has_dicom_magic,
    may_hold_dicom,
    scan_folder,
    write_moved,
)
from napari_samri.io.dicom_stack import Stack, stack_of
from napari_samri.io.nifti import NiftiReader
from napari_samri.io.nifti_header import MAX_BYTES, source_header

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    FloatArray = NDArray[np.float64]

TIMEOUT_S = 600
# How far dcm2niix's grid may lie from the headers' at its near end, in the least spacing.
CORNER_TOLERANCE = 0.5
# Below this, dcm2niix's own numbers stay: they are the headers' within their rounding.
SAME_MM = 1e-3
# dcm2niix fails on gaps that differ by much more; it then gets copies with even positions.
GAP_TOLERANCE = 0.01


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
        files = _one_series(scan_folder(path, TAGS), path)
        _check_slices(files, path)
        check_sense(files, path)
        check_agreement(files, path)
        stack = stack_of(files, path)
        _check_claim(files, path, max_voxels)
        volume = _convert(stack, path, max_voxels)
        warn_of_inverted(files, path)
        return volume


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


def _check_claim(files: list[SliceFile], folder: Path, max_voxels: int | None) -> None:
    """Refuse what claims to be huge before dcm2niix makes room for it."""
    header = files[0].header
    voxels = int(header.Rows) * int(header.Columns) * len(files)
    if voxels > (MAX_BYTES if max_voxels is None else max_voxels):
        message = (
            f"{folder}: the headers claim {voxels:,} voxels, more than are read by default or "
            f"allowed; if that is right, allow them (max_voxels={voxels})."
        )
        raise TooLargeError(message, voxels)


def _convert(stack: Stack, folder: Path, max_voxels: int | None) -> Volume:
    """Decode a series by dcm2niix, and put it on the grid that its headers say."""
    with tempfile.TemporaryDirectory(prefix="napari-samri-") as name:
        source, target = Path(name, "in"), Path(name, "out")
        source.mkdir()
        target.mkdir()
        _gather(stack, source)
        _run_dcm2niix(source, target, folder)
        images = sorted(target.glob("*.nii"))
        if len(images) != 1:
            message = f"{folder}: dcm2niix made {len(images)} volumes of the series; expected one."
            raise InputError(message)
        volume = NiftiReader().read(images[0], max_voxels)
    count = len(stack.files)
    if volume.array.ndim != 3 or volume.grid.shape[2] != count:
        message = (
            f"{folder}: dcm2niix made a volume of shape {volume.grid.shape} of "
            f"{count} slices; expected one slice per file."
        )
        raise InputError(message)
    # With "-x i", slices are stacked along the third axis, whichever way they lie.
    grid = replace(_placed(volume.grid, stack, folder), path=folder, plane_axis=2)
    return Volume.from_stored(volume.to_stored(volume.array), grid)


def _gather(stack: Stack, target: Path) -> None:
    """Put the series, and nothing else of its folder, where dcm2niix looks for it."""
    gaps = np.linalg.norm(np.diff(stack.positions_mm, axis=0), axis=1)
    even = bool((np.abs(gaps - gaps.mean()) <= GAP_TOLERANCE * gaps.mean()).all())
    for number, (file, place_mm) in enumerate(zip(stack.files, stack.places_mm, strict=True)):
        path = target / f"{number:06d}.dcm"
        if even:
            _link(path, file.path.resolve())
        else:
            write_moved(file.path, place_mm.tolist(), path)


def _placed(grid: Grid, stack: Stack, folder: Path) -> Grid:
    """Return dcm2niix's grid with the affine that the headers say.

    dcm2niix keeps the axes of a slice and may flip each; its affine says which.

    Raises
    ------
    GeometryError
        If it lies elsewhere, so that voxels cannot be identified.
    """
    found = grid.affine
    affine = stack.affine @ _turned(found, stack.affine, grid.spatial_shape)
    apart = _corners_mm(affine, grid.spatial_shape) - _corners_mm(found, grid.spatial_shape)
    apart_mm = np.linalg.norm(apart, axis=1)
    if apart_mm.max() < SAME_MM:
        return grid
    # Only the gap may differ, by what rounding does to the first; the near end is right.
    least = float(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).min())
    gap, own = (float(np.linalg.norm(each[:3, 2])) for each in (affine, found))
    if apart_mm.min() > CORNER_TOLERANCE * least or abs(gap - own) > CORNER_TOLERANCE * gap:
        message = (
            f"{folder}: dcm2niix placed the slices {apart_mm.min():.3g} to {apart_mm.max():.3g} mm "
            "from where their headers say; the series is not one that can be read safely."
        )
        raise GeometryError(message)
    return _with_affine(grid, affine)


def _turned(found: FloatArray, headers: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    """Return the matrix from indices as dcm2niix counts them to those of the headers."""
    matrix = np.eye(4)
    for axis, size in enumerate(shape):
        if found[:3, axis] @ headers[:3, axis] < 0:
            matrix[axis, axis], matrix[axis, 3] = -1, size - 1
    return matrix


def _corners_mm(affine: FloatArray, shape: tuple[int, int, int]) -> FloatArray:
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(shape) - 1)
    moved: FloatArray = corners @ affine[:3, :3].T + affine[:3, 3]
    return moved


def _with_affine(grid: Grid, affine: FloatArray) -> Grid:
    """Return a grid of another affine, in its header too, so that labels are saved on it."""
    header = source_header(grid)
    header.set_sform(affine, int(header["sform_code"]) or 1)
    header.set_qform(affine, int(header["qform_code"]) or 1, strip_shears=True)
    # As readers of the header find it, in float32.
    written = np.asarray(header.get_sform(), float)
    return replace(grid, affine=written, header=header.binaryblock)


def _link(link: Path, path: Path) -> None:
    try:
        link.symlink_to(path)
    except OSError:  # Windows without the right to make links
        shutil.copyfile(path, link)


def _run_dcm2niix(source: Path, target: Path, folder: Path) -> None:
    import dcm2niix

    # "-g i": ignore the user's saved defaults, such as other grey values.
    command = [dcm2niix.bin, "-g", "i", "-b", "n", "-z", "n", "-x", "i", "-f", "%s_%e"]
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
