"""The MNI152 template that nilearn carries, found without importing nilearn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from napari_samri.errors import InputError

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
