"""What layouts share: what they give back, how they look for images, and match them with labels."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from napari_samri.datasets.name_parts import says_no_person
from napari_samri.datasets.spelling import composed
from napari_samri.errors import InputError
from napari_samri.filenames import NIFTI_SUFFIXES, has_suffix, stem_of
from napari_samri.io import can_read

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path, PurePath


@dataclass(frozen=True)
class Case:
    """An image and its labels.

    Parameters
    ----------
    image : path
    labels : path or None
        Below the findings' root. Nothing says yet that they can be read. None for an image
        without labels, which can be embedded, but not trained on.
    patient : str
        The person imaged, as far as the layout says.
    dataset : str
        Name of the data set if the layout knows one; empty for the source's own.
    patient_is_given : bool
        A table names the patient; it is not taken from a file name.
    structure : str
        Where labels hold a single structure, its name; empty where their values are labels.
    rater : str
        Whose labels they are, if an image has several people's.
    where : str
        What names the case, such as the line of a table.
    """

    image: Path
    labels: Path | None
    patient: str
    dataset: str = ""
    patient_is_given: bool = False
    structure: str = ""
    rater: str = ""
    where: str = ""

    @property
    def label_file(self) -> Path:
        """The file of the labels; of an image without any, the image."""
        return self.labels or self.image


@dataclass(frozen=True)
class Findings:
    """What was found below a root.

    Parameters
    ----------
    root : path
        Absolute.
    cases : tuple of Case
    problems : tuple of str
        What does not fit together, with paths relative to the root.
    left_out : mapping of str to int
        How many files were skipped, by reason.
    label_names : mapping of int to str
        As far as they are known; without background.
    """

    root: Path
    cases: tuple[Case, ...]
    problems: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    label_names: Mapping[int, str] = field(default_factory=dict)


class Layout(Protocol):
    """One way in which data sets are laid out on disk."""

    @property
    def id(self) -> str:
        """Short name, to choose it by and for the manifest."""

    @property
    def looks_for(self) -> str:
        """What it looks for, in a few words, for the message that nothing was found."""

    def recognises(self, path: Path) -> bool:
        """Tell from names, without opening images, whether a path has this layout."""

    def find(self, path: Path) -> Findings:
        """Find all cases below a path, without opening images.

        What does not fit together is listed in the findings; the rest is used.

        Raises
        ------
        InputError
            If a folder or a table of the layout cannot be read at all.
        """


# Folders of these names say how the data were sorted, not who was imaged.
_SPLITS = "training validation testing train val test"
_KINDS = "images image imgs img labels data raw anat nifti nii"
SORTING_FOLDERS = frozenset(f"{_SPLITS} {_KINDS}".split())


def is_nifti_name(path: PurePath) -> bool:
    """Tell whether a file is named like NIfTI."""
    return has_suffix(path, NIFTI_SUFFIXES)


def stem(path: PurePath) -> str:
    """Return a name without ``.nii`` or ``.nii.gz``, in Unicode's form NFC: names are compared."""
    return composed(stem_of(path, NIFTI_SUFFIXES))


def images_below(folder: Path) -> list[Path]:
    """Return all NIfTI files and all folders of DICOM below a folder, sorted.

    Hidden ones are skipped, such as the ``._`` files of macOS.

    Raises
    ------
    InputError
        If a folder cannot be listed.
    """
    return sorted(path for path in _below(folder, set()) if path != folder)


def subfolders(folder: Path) -> list[Path]:
    """Return the folders directly in a folder, sorted, without hidden ones."""
    return [path for path in _entries(folder) if path.is_dir()]


def patient_of(relative: PurePath, name: str) -> str:
    """Return the patient of an image: the first folder of its path that names one, or its name.

    Folders that only say how data were sorted, or which image of a patient it is (``ses-1``,
    ``T1``), are skipped.
    """
    folders = [
        part
        for part in relative.parts[:-1]
        if part.lower() not in SORTING_FOLDERS and not says_no_person(part)
    ]
    return composed(folders[0] if folders else name)


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in seen:  # links may form circles, or lead to one place twice
        return
    seen.add(real)
    entries = _entries(folder)
    files = [path for path in entries if is_nifti_name(path) and not path.is_dir()]
    folders = [path for path in entries if path.is_dir()]
    yield from files
    for inner in folders:
        yield from _below(inner, seen)
    if entries and not files and not folders and can_read(folder):
        yield folder


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        message = f"{folder}: cannot be listed ({error.strerror or error}); expected a folder."
        raise InputError(message) from error


Key = TypeVar("Key", bound=tuple[object, ...])
ADVICE = "Add the missing file, or name the pairs in a CSV."


def by_key(paths: Iterable[Path], key: Callable[[Path], Key | None]) -> dict[Key, list[Path]]:
    """Group paths by a key; those whose key is None are left out."""
    result: dict[Key, list[Path]] = defaultdict(list)
    for path in paths:
        if (found := key(path)) is not None:
            result[found].append(path)
    return dict(result)


def key_without(path: Path, end: re.Pattern[str]) -> tuple[Path, str] | None:
    """Return a path's folder and its stem without an end; None if it does not end so."""
    name = stem(path)
    return (path.parent, end.sub("", name)) if end.search(name) else None


def match(
    images: Mapping[Key, list[Path]], labels: Mapping[Key, list[Path]], root: Path
) -> tuple[list[tuple[Key, Path, Path]], list[str]]:
    """Match images with the one label file of the same key; several images may share it.

    Returns
    -------
    list of (key, image, labels)
    list of str
        Problems: images without labels, labels without an image, too many label files.
    """
    matched, problems = [], []
    for key, found in images.items():
        if len(labels.get(key, ())) == 1:
            matched += [(key, image, labels[key][0]) for image in found]
        elif key in labels:
            names = ", ".join(shown(path, root) for path in labels[key])
            problems += [
                f"{shown(image, root)}: {len(labels[key])} label files fit ({names}); expected "
                "one. Name the pairs in a CSV."
                for image in found
            ]
        else:
            problems += [f"{shown(image, root)}: has no labels. {ADVICE}" for image in found]
    for key in labels.keys() - images.keys():
        problems += [
            f"{shown(path, root)}: labels without an image. {ADVICE}" for path in labels[key]
        ]
    return matched, sorted(problems)


def shown(path: Path, root: Path) -> str:
    """Return a path as problems name it: relative to the root."""
    return path.relative_to(root).as_posix()
