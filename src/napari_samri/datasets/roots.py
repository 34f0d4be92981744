"""Roots of data sets that move together with their manifest."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.errors import InputError

if TYPE_CHECKING:
    from napari_samri.datasets.manifest import Manifest


def with_relative_roots(manifest: Manifest, folder: Path) -> Manifest:
    """Return a manifest whose roots are relative to the folder that it will lie in.

    Raises
    ------
    InputError
        If a root lies on another drive.
    """
    base = os.path.realpath(folder)  # after a link, ".." is not the folder that it was before
    try:
        roots = [os.path.relpath(os.path.realpath(each.root), base) for each in manifest.datasets]
    except ValueError as error:
        message = (
            f"{folder}: a data set lies on another drive ({error}); expected all on one. Leave the "
            "roots absolute."
        )
        raise InputError(message) from error
    datasets = tuple(
        replace(dataset, root=Path(root).as_posix())
        for dataset, root in zip(manifest.datasets, roots, strict=True)
    )
    return replace(manifest, datasets=datasets)
