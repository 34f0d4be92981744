"""Sample data: a made-up head in an MRI scanner, the same every time, and the MNI152 template."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np

from napari_samri.errors import InputError
from napari_samri.geometry import Grid, Volume, guess_plane_axis

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    LabelArray = NDArray[np.uint8]

SHAPE = (160, 160, 24)
SPACING_MM = (1.2, 1.2, 4.0)
LABELS = {1: "cerebrospinal fluid", 2: "grey matter", 3: "white matter", 4: "lesion"}
# Grey values of a T1-weighted image: air, the labels, and the scalp.
_GREYS = np.array([0, 260, 620, 900, 440, 1000], np.float32)
_SCALP = 5
_TILT_DEGREES = (9.0, -6.0, 4.0)
_NOISE = 22.0
_SEED = 20_250


def make_phantom() -> tuple[Volume, Volume]:
    """Return a T1-weighted image (int16) and its labels (uint8), both (24, 160, 160).

    Thick axial slices of a slab through the brain, tilted against the scanner, with folds, a
    lesion, partial volume, a bias field and Rician noise. The grid has a header but no path.
    """
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(_SEED)
    tissue = _tissue(random)
    image = gaussian_filter(_GREYS[tissue], (0.7, 0.7, 0.2)) * _bias()
    real, imaginary = random.normal(0, _NOISE, (2, *SHAPE)).astype(np.float32)
    image = np.hypot(image + real, imaginary)
    grid = _grid()
    labels = np.where(tissue == _SCALP, 0, tissue).astype(np.uint8)
    return (
        Volume.from_stored(np.rint(image).astype(np.int16), grid),
        Volume.from_stored(labels, grid),
    )


def _tissue(random: np.random.Generator) -> LabelArray:
    """Return the index of the tissue in every voxel, from the outside in."""
    folds = _folds(random)
    tissue = np.zeros(SHAPE, np.uint8)
    tissue[_inside((72, 92, 80))] = _SCALP
    tissue[_inside((67, 87, 75))] = 0  # bone gives no signal
    tissue[_inside((63, 83, 71))] = 1
    # Folds stay inside what is around them: white matter inside a cortex, that inside the fluid.
    brain = _inside((60, 80, 68), wobble=0.05 * folds) & _inside((62, 82, 70))
    tissue[brain] = 2
    tissue[brain & _inside((52, 72, 60), wobble=0.12 * folds) & _inside((57, 77, 65))] = 3
    for side in (-1, 1):
        tissue[_inside((11, 17, 12), (18 * side, 8, -6), 0.1 * folds)] = 2
        tissue[_inside((7, 26, 14), (9 * side, 2, 8), 0.1 * folds)] = 1
    tissue[_inside((9, 8, 10), (-32, -24, 12), 0.25 * folds)] = 4
    return tissue


def _inside(
    radii_mm: tuple[float, float, float],
    centre_mm: tuple[float, float, float] = (0, 0, 0),
    wobble: FloatArray | float = 0,
) -> NDArray[np.bool_]:
    """Return the voxels of an ellipsoid whose radii vary by `wobble`, a fraction of them."""
    distance = np.zeros((1, 1, 1), np.float32)
    for axis, (radius, centre) in enumerate(zip(radii_mm, centre_mm, strict=True)):
        distance = distance + ((_millimetres(axis) - centre) / radius) ** 2
    inside: NDArray[np.bool_] = np.sqrt(distance) < 1 + wobble
    return inside


def _millimetres(axis: int) -> FloatArray:
    """Return the distance from the middle of the grid along one axis, broadcastable to it."""
    size, spacing = SHAPE[axis], SPACING_MM[axis]
    steps = (np.arange(size, dtype=np.float32) - (size - 1) / 2) * spacing
    return steps.reshape([-1 if other == axis else 1 for other in range(3)])


def _folds(random: np.random.Generator) -> FloatArray:
    """Return smooth noise of unit standard deviation, with folds of about 8 mm."""
    from scipy.ndimage import gaussian_filter

    noise = random.normal(size=SHAPE).astype(np.float32)
    smooth: FloatArray = gaussian_filter(noise, [4 / spacing for spacing in SPACING_MM])
    return smooth / smooth.std()


def _bias() -> FloatArray:
    """Return the coil's uneven sensitivity, about 0.85 to 1.15."""
    right, front = _millimetres(0) / 96, _millimetres(1) / 96
    return (1 + 0.08 * right + 0.07 * np.sin(2 * front)).astype(np.float32)


def _grid() -> Grid:
    """Return an oblique grid, with the NIfTI header that labels on it are saved with."""
    affine = _affine()
    header = nib.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_sform(affine, "scanner")
    header.set_qform(affine, "scanner")
    header.set_xyzt_units("mm")
    header.set_dim_info(slice=2)
    written: Any = header.get_best_affine()  # as a reader of the header finds it, in float32
    return Grid(SHAPE, written, None, header.binaryblock, guess_plane_axis(SHAPE, written, 2))


def _affine() -> NDArray[np.float64]:
    """Return stored indices to RAS+ mm: LPS-like, tilted, with the grid's middle at the origin."""
    from scipy.spatial.transform import Rotation

    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", _TILT_DEGREES, degrees=True).as_matrix()
    affine[:3, :3] = turn @ np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2]])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return affine


FILES = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"


def template_file(kind: str = "t1") -> Path:
    """Return the path of the template, or of one of its tissue maps.

    Parameters
    ----------
    kind : {"t1", "gm", "wm"}

    Raises
    ------
    InputError
        If nilearn or its files are not there.
    """
    spec = find_spec("nilearn")
    folder = Path(spec.origin).parent / "datasets" / "data" if spec and spec.origin else None
    file = folder / FILES.format(kind) if folder is not None else None
    if file is None or not file.is_file():
        message = (
            "the MNI152 template was not found; expected the package nilearn, which carries "
            'it. Install it with: python -m pip install "napari-samri[demo]"'
        )
        raise InputError(message)
    return file
