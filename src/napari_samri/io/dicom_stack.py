"""Where the slices of a series lie: one regular stack, from its first slice to its last.

References
----------
DICOM PS3.3, C.7.6.2.1.1: the position of a pixel in LPS+ millimetres.
nibabel, "DICOM orientations", the affine of several slices:
https://nipy.org/nibabel/dicom/dicom_orientation.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.errors import GeometryError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.io.dicom_scan import SliceFile

    FloatArray = NDArray[np.float64]

# How far a slice may lie from its place, in gaps between slices: scanners round positions.
PLACE_TOLERANCE = 0.1
# How far the far end may lean sideways: in gaps along the way there, and in the least spacing.
LEAN_TOLERANCE = 0.0447
END_TOLERANCE = 0.5
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in the order in which they lie, and the regular stack that they make.

    Parameters
    ----------
    files : tuple of SliceFile
        Sorted along the normal, which is the cross product of the two directions in a slice.
    positions_mm : float array (N, 3)
        LPS+ positions of their first pixels, as the headers have them.
    affine : float array (4, 4)
        (column, row, slice) indices to RAS+ mm; the slices lie evenly from the first header's
        position to the last one's.
    """

    files: tuple[SliceFile, ...]
    positions_mm: FloatArray
    affine: FloatArray

    @property
    def places_mm(self) -> FloatArray:
        """Where the slices' first pixels lie in the regular stack: (N, 3), LPS+."""
        steps = np.linspace(0, 1, len(self.files))[:, None]
        return self.positions_mm[0] + steps * (self.positions_mm[-1] - self.positions_mm[0])


def stack_of(files: Sequence[SliceFile], folder: Path) -> Stack:
    """Sort slices along their normal and check that each lies in its place.

    The gap is the distance from the first to the last over n - 1: single gaps are rounded, and
    a rounded one adds up over the stack.

    Raises
    ------
    GeometryError
        If slices are missing, repeated or unevenly spaced, or the stack is sheared, in numbers.
    """
    header = files[0].header
    across, down = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    across, down = across / np.linalg.norm(across), down / np.linalg.norm(down)
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    positions = np.array([file.header.ImagePositionPatient for file in files], float)
    _check_distinct(positions, files, folder)
    order = np.argsort(positions @ normal, kind="stable")
    positions, files = positions[order], [files[index] for index in order]
    step = (positions[-1] - positions[0]) / (len(files) - 1)
    row_mm, column_mm = (float(value) for value in header.PixelSpacing)
    lps = np.eye(4)
    lps[:3] = np.stack([across * column_mm, down * row_mm, step, positions[0]], axis=1)
    stack = Stack(tuple(files), positions, _LPS_TO_RAS @ lps)
    _check_places(stack, normal, folder)
    _check_lean(stack, normal, folder)
    return stack


def _check_distinct(positions: FloatArray, files: Sequence[SliceFile], folder: Path) -> None:
    seen: dict[tuple[float, ...], SliceFile] = {}
    for place, file in zip(map(tuple, positions.tolist()), files, strict=True):
        if place in seen:
            message = (
                f"{folder}: several files of the series lie at the same position, such as "
                f"{seen[place].path.name} and {file.path.name} (echoes, time points or b-values "
                "in one series, or copies); expected one file per slice."
            )
            raise GeometryError(message)
        seen[place] = file


def _check_places(stack: Stack, normal: FloatArray, folder: Path) -> None:
    along = stack.positions_mm @ normal
    gap = (along[-1] - along[0]) / (len(along) - 1)
    off = np.linalg.norm(stack.positions_mm - stack.places_mm, axis=1)
    worst = int(off.argmax())
    if gap > 0 and off[worst] <= PLACE_TOLERANCE * gap:
        return
    gaps = np.diff(along)
    message = (
        f"{folder}: the slices are not evenly spaced along their normal (a slice is missing, or "
        f"the stack is sheared): {len(along)} slices from the first to the last would lie "
        f"{gap:.4g} mm apart, but single gaps are {gaps.min():.4g} to {gaps.max():.4g} mm, and "
        f"{stack.files[worst].path.name} lies {off[worst]:.3g} mm from its place; expected at "
        f"most {PLACE_TOLERANCE * gap:.3g} mm, a tenth of the gap."
    )
    raise GeometryError(message)


def _check_lean(stack: Stack, normal: FloatArray, folder: Path) -> None:
    """Refuse stacks that lean: programs that take the axes for square would misplace them."""
    way = stack.positions_mm[-1] - stack.positions_mm[0]
    along = float(way @ normal)
    sideways = float(np.linalg.norm(way - along * normal))
    spacing = np.sqrt((stack.affine[:3, :3] ** 2).sum(axis=0))
    allowed = min(LEAN_TOLERANCE * along, END_TOLERANCE * float(spacing.min()))
    if sideways > allowed:
        message = (
            f"{folder}: the slices are evenly spaced, but the stack is sheared: the last slice "
            f"lies {sideways:.3g} mm beside the normal of the first; expected at most "
            f"{allowed:.3g} mm. Resample the series to a straight stack first."
        )
        raise GeometryError(message)
