"""Names that are equal in any spelling: composed or decomposed, in capitals or not.

References
----------
Unicode Standard Annex 15, normalisation forms: https://unicode.org/reports/tr15/
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def composed(text: str) -> str:
    """Return a text in Unicode's form NFC: one code for a letter with its accent.

    macOS and archives made there decompose names, so that equal names have other bytes.
    """
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Return the form that all spellings of a text share, in capitals or not."""
    return composed(composed(text).casefold())


def real_path(path: Path, root: Path) -> Path:
    """Return the path below a root as the disk spells it; as given if there is none.

    Parameters
    ----------
    path : path
        Below `root`, in any of Unicode's forms.
    root : path
        Taken as it is.
    """
    if path.exists() or not path.is_relative_to(root):
        return path
    found = root
    for part in path.relative_to(root).parts:
        found = _entry(found, part)
    return found if found.exists() else path


def _entry(folder: Path, name: str) -> Path:
    """Return the entry of a folder with a name; of several spellings, the first in order."""
    exact = folder / name
    if exact.exists():
        return exact
    try:
        same = [entry for entry in folder.iterdir() if composed(entry.name) == composed(name)]
    except OSError:  # no folder: nothing is called so in it
        same = []
    return min(same, default=exact)
