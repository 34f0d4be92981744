"""The layouts there are, and which one a folder has."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.acdc import AcdcLayout
from napari_samri.datasets.layouts.base import images_below
from napari_samri.datasets.layouts.bids import BidsLayout
from napari_samri.datasets.layouts.brats import BratsLayout
from napari_samri.datasets.layouts.nnunet import NnUNetLayout
from napari_samri.datasets.layouts.pairs import FoldersLayout, ImagesLayout, PairsLayout
from napari_samri.datasets.layouts.samri import SamriLayout
from napari_samri.datasets.layouts.table import TableLayout
from napari_samri.datasets.layouts.totalsegmentator import TotalSegmentatorLayout
from napari_samri.errors import InputError, InputWarning

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.datasets.layouts.base import Layout

# The first that recognises a path reads it: those that ask for more come first.
LAYOUTS: tuple[Layout, ...] = (
    TableLayout(),
    NnUNetLayout(),
    BidsLayout(),
    SamriLayout(),
    FoldersLayout(),
    PairsLayout(),
    TotalSegmentatorLayout(),
    BratsLayout(),
    AcdcLayout(),
    ImagesLayout(),
)
_SHOWN_NAMES = 5


def layout_by_id(name: str) -> Layout:
    """Return a layout by its id.

    Raises
    ------
    InputError
        If there is none.
    """
    for layout in LAYOUTS:
        if layout.id == name:
            return layout
    message = f"no layout is called {name!r}; expected one of {', '.join(x.id for x in LAYOUTS)}."
    raise InputError(message)


def detect_layout(path: Path) -> Layout:
    """Return the first layout that recognises a folder or a CSV.

    Raises
    ------
    InputError
        If none does, with what was looked for and what is there.

    Warns
    -----
    InputWarning
        If others do too.
    """
    found = [layout for layout in LAYOUTS if layout.recognises(path)]
    if len(found) > 1:
        others = ", ".join(layout.id for layout in found[1:])
        message = (
            f"{path}: is read as the layout {found[0].id}, but could also be {others}. If "
            "files are missing, choose the layout."
        )
        warnings.warn(message, InputWarning, stacklevel=2)
    if found:
        return found[0]
    wanted = "".join(f"\n  {layout.id}: {layout.looks_for}" for layout in LAYOUTS)
    message = (
        f"{path}: no layout of a data set is recognised. Looked for{wanted}\nFound {_found(path)}. "
        "Choose a layout, name a folder of images and one of labels, or name the pairs in a CSV."
    )
    raise InputError(message)


def _found(path: Path) -> str:
    if not path.is_dir():
        return "another kind of file" if path.exists() else "no such file or folder"
    names = sorted(entry.name + "/" * entry.is_dir() for entry in path.iterdir())
    shown = ", ".join(names[:_SHOWN_NAMES]) + (", ..." if len(names) > _SHOWN_NAMES else "")
    return f"{len(images_below(path))} images below it; in it {shown or 'nothing'}"
