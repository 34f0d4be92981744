"""Labels of a session written to a file: copied now, and written on any thread."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_samri._version import __version__
from napari_samri.codec import (
    Flaw,
    Sorted,
    Unreadable,
    from_plain,
    reader_of,
    record,
    shown,
    to_plain,
)
from napari_samri.errors import InputError, InputWarning, SamriError
from napari_samri.filenames import NIFTI_SUFFIXES, check_name, expand_user, has_suffix
from napari_samri.io import MARKS, read_sidecar, save_labels, sidecar_path, writing_sidecar
from napari_samri.session.history import Commit, Document
from napari_samri.session.labels import Label, LabelTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.geometry import Volume
    from napari_samri.session.session import Session


# What making and writing a record may raise while the labels themselves are fine.
_NO_RECORD = (
    SamriError,
    OSError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, eq=False)
class SaveJob:
    """A copy of all that is to be written; `run` may be called on another thread."""

    path: Path
    labels: NDArray[Any]
    volume: Volume
    record: Callable[[], dict[str, Any]]
    revision: int

    def run(self) -> str:
        """Write labels and the record next to them; return what is wrong with the record, or "".

        The labels are saved even if names, colours and provenance cannot be.

        Raises
        ------
        StoreError
            If the disk refuses the labels; the old files are still there.
        """
        save_labels(self.path, self.labels, self.volume)
        try:
            with writing_sidecar(self.path, self.record()):
                pass
        except _NO_RECORD as error:
            return (
                f"{self.path.name}: the labels were saved, but the record of their names, colours "
                f"and provenance next to them was not ({error}). One of an earlier save may be "
                "there still."
            )
        return ""


@dataclass(frozen=True, eq=False)
class Savable:
    """What a session that has ended left to be saved.

    Parameters
    ----------
    volume : Volume
        On whose grid the labels lie; its voxels do not matter.
    labels : integer array
        Of the shape of the volume's array.
    document : Document
        Names, colours, locks and how masks came about.
    grid_is_known : bool
        Whether the grid is that of the image's file.
    """

    volume: Volume
    labels: NDArray[Any]
    document: Document
    grid_is_known: bool
    revision: int = 0


def prepare_save(session: Session | Savable, path: Path | str) -> SaveJob:
    """Take a copy of a session's labels and records, to be written to `path`.

    Raises
    ------
    InputError
        If the name is not that of a NIfTI file, or the image has no file's grid.
    """
    path = expand_user(path)
    check_name(path)
    if not has_suffix(path, NIFTI_SUFFIXES):
        message = f"{path}: labels are saved as NIfTI; expected a name ending in .nii or .nii.gz."
        raise InputError(message)
    if not session.grid_is_known:
        message = (
            "the image was not opened by napari-samri, so the grid of its file is unknown and "
            "labels on it would lie nowhere; open the image's file with the Open button, and "
            "draw on that layer."
        )
        raise InputError(message)
    source = session.volume.grid.path
    if source is not None and _is_same_file(path, source):
        message = f"{path}: this is the image itself; choose another name for the labels."
        raise InputError(message)
    record = partial(_content, session.document)
    return SaveJob(path, session.labels.copy(), session.volume, record, session.revision)


def _content(document: Document) -> dict[str, Any]:
    return {
        "written_by": f"napari-samri {__version__}",
        **to_plain(document.table),
        "commits": to_plain(document.commits, tuple[Commit, ...]),
    }


def _is_same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one of them is not there
        return False


def read_saved(labels: Path) -> Document | None:
    """Return names, locks and provenance saved with a labels file, or None if there are none.

    Where the record of a commit is not readable, the rest is, and an InputWarning says so.

    Raises
    ------
    InputError
        If names and locks are not readable.
    """
    found = read_sidecar(labels, _SAVED)
    if found is None:
        return None
    document, unreadable = found
    if unreadable:
        message = (
            f"{sidecar_path(labels)}: how {len(unreadable)} of the masks came about cannot be "
            f"read, e.g. {unreadable[0]}; names, colours, locks and the rest are taken. Keep a "
            "copy of the file if it matters: the next save replaces it without them."
        )
        warnings.warn(message, InputWarning, stacklevel=2)
    return document


_NO_COMMITS: Sorted[Commit] = Sorted((), ())


def _sound_commits(value: object) -> Sorted[Commit]:
    """Read a list of commits of which some may be damaged."""
    if not isinstance(value, list):
        return Sorted((), (Unreadable("commits", f"is {shown(value)}; expected a list"),))
    good: list[Commit] = []
    bad: list[Unreadable] = []
    for place, entry in enumerate(value):
        try:
            good.append(from_plain(Commit, entry, "drop"))
        except Flaw as flaw:
            bad.append(Unreadable(f"commits[{place}]", str(flaw)))
    return Sorted(tuple(good), tuple(bad))


def _saved(
    commits: Sorted[Commit] = _NO_COMMITS, **table: Any
) -> tuple[Document, tuple[Unreadable, ...]]:
    return Document(table=LabelTable(**table), commits=commits.good), commits.bad


_SAVED = record(
    _saved,
    {"labels": reader_of(tuple[Label, ...], "drop"), "active": reader_of(int)},
    {"commits": _sound_commits},
    marks=MARKS,
)
