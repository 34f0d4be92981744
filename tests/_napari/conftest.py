"""Made-up volumes, and napari's plugin system with nothing but our manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

import napari_samri

if TYPE_CHECKING:
    from collections.abc import Callable

    from npe2 import PluginManager, PluginManifest

MANIFEST = Path(napari_samri.__file__).parent / "napari.yaml"
# Oblique, anisotropic, and flipped against the radiological way.
AFFINE = np.array(
    [[-0.8, 0.05, 0.4, 30], [0.04, 0.9, -0.3, -20], [0.1, 0.07, 4.0, 5], [0, 0, 0, 1]], float
)


@pytest.fixture
def manifest() -> PluginManifest:
    from npe2 import PluginManifest

    return PluginManifest.from_file(MANIFEST)


@pytest.fixture
def plugins(npe2pm: PluginManager, manifest: PluginManifest) -> PluginManager:
    """Return a plugin manager that knows our plugin only, whatever is installed."""
    npe2pm.register(manifest)
    return npe2pm


@pytest.fixture
def write_nifti(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an array as NIfTI on an oblique grid."""

    def write(name: str, array: np.ndarray, intent: str | None = None) -> Path:
        image = nib.Nifti1Image(array, AFFINE)
        image.header.set_xyzt_units("mm", "sec")
        if intent:
            image.header.set_intent(intent)
        path = tmp_path / name
        image.to_filename(path)
        return path

    return write


def made_up(shape: tuple[int, ...] = (9, 8, 5), dtype: type = np.int16) -> np.ndarray:
    """Return voxels from 0 to 3, the same every time."""
    return np.random.default_rng(0).integers(0, 4, shape).astype(dtype)
