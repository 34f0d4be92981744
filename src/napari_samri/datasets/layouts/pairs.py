"""Images and labels by their names: beside each other, in two folders, or images alone."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.datasets.layouts.base import (
    Case,
    Findings,
    by_key,
    images_below,
    key_without,
    match,
    patient_of,
    stem,
)
from napari_samri.datasets.spelling import composed
from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Container

IMAGE_END = re.compile(r"_(img|image)$", re.IGNORECASE)
LABELS_END = re.compile(r"_(seg|dseg|mask|labels?)$", re.IGNORECASE)


@dataclass(frozen=True)
class PairsLayout:
    """Pairs by the ends of their names.

    The patient is the first folder below the root, or else NAME.
    """

    id: str = "pairs"
    looks_for: str = "NAME_img.nii.gz beside NAME_seg.nii.gz"

    def recognises(self, path: Path) -> bool:
        """Tell whether there is an image and a label file of such names."""
        if not path.is_dir():
            return False
        return all(_by_end(images_below(path)))

    def find(self, path: Path) -> Findings:
        """Match NAME with NAME in each folder."""
        files = images_below(path)
        images, labels = _by_end(files)
        matched, problems = match(images, labels, path)
        cases = (
            Case(image, mask, patient_of(image.relative_to(path), IMAGE_END.sub("", stem(image))))
            for _, image, mask in matched
        )
        others = len(files) - sum(len(group) for group in (*images.values(), *labels.values()))
        return Findings(path, tuple(cases), tuple(problems), {"files of other names": others})


def _by_end(files: list[Path]) -> tuple[dict[_Key, list[Path]], dict[_Key, list[Path]]]:
    """Return images and labels by their folder and the NAME that both share."""
    images = by_key(files, lambda path: key_without(path, IMAGE_END))
    return images, by_key(files, lambda path: key_without(path, LABELS_END))


@dataclass(frozen=True)
class ImagesLayout:
    """All images of a folder, without labels: for embedding alone.

    It recognises nothing by itself, because labels may only be missing. The patient is told as in
    `PairsLayout`.
    """

    id: str = "images"
    looks_for: str = "any images, without labels, if this layout is chosen"

    def recognises(self, _: Path) -> bool:
        """Tell that it has to be chosen."""
        return False

    def find(self, path: Path) -> Findings:
        """Take every image."""
        cases = (
            Case(image, None, patient_of(image.relative_to(path), IMAGE_END.sub("", stem(image))))
            for image in images_below(path)
        )
        return Findings(path, tuple(cases))


CHANNEL = re.compile(r"_\d{4}$")
_IMAGES = "images"
_LABELS = ("labels", "masks", "segmentations")
_Key = tuple[Path, str]


@dataclass(frozen=True)
class FoldersLayout:
    """A folder that holds ``images/`` and ``labels/``."""

    id: str = "folders"
    looks_for: str = "images/ beside labels/, masks/ or segmentations/"

    def recognises(self, path: Path) -> bool:
        """Tell whether there are two such folders."""
        return (path / _IMAGES).is_dir() and any((path / name).is_dir() for name in _LABELS)

    def find(self, path: Path) -> Findings:
        """Match the files of both folders."""
        found = [path / name for name in _LABELS if (path / name).is_dir()]
        if len(found) != 1 or not (path / _IMAGES).is_dir():
            names = ", ".join(folder.name for folder in found) or "none"
            message = (
                f"{path}: expected {self.looks_for}; found of the latter: {names}. Name the "
                "folder of the images and that of the labels."
            )
            raise InputError(message)
        return find_in_two_folders(path / _IMAGES, found[0])


def find_in_two_folders(images: Path, labels: Path) -> Findings:
    """Match the images of one folder with the labels of another.

    Stems are equal, or become so without ``_img`` or a channel such as ``_0000`` of the image
    and ``_seg``, ``_dseg``, ``_mask``, ``_label`` or ``_labels`` of the labels; so are the
    folders in between. The root is the folder above both. The patient is the first folder
    on the way to an image, or else the name that is left.

    Raises
    ------
    InputError
        If a folder cannot be listed, or no folder lies above both.
    """
    root = _above(images, labels)
    masks = by_key(images_below(labels), lambda path: _labels_key(path, labels))
    keyed = by_key(images_below(images), lambda path: _image_key(path, images, masks))
    matched, problems = match(keyed, masks, root)
    cases = (
        Case(image, mask, patient_of(image.relative_to(images), key[1]))
        for key, image, mask in matched
    )
    return Findings(root, tuple(cases), tuple(problems))


def _above(images: Path, labels: Path) -> Path:
    try:
        return Path(os.path.commonpath([images, labels]))
    except ValueError as error:  # two drives
        message = (
            f"no folder lies above both {images} and {labels}; expected images and labels on one "
            "drive. Move or link one of them."
        )
        raise InputError(message) from error


def _between(path: Path, folder: Path) -> Path:
    return Path(composed(str(path.parent.relative_to(folder))))


def _labels_key(path: Path, folder: Path) -> _Key:
    return _between(path, folder), LABELS_END.sub("", stem(path))


def _image_key(path: Path, folder: Path, known: Container[_Key]) -> _Key:
    """Return the first of an image's possible keys that labels have; the shortest if none."""
    between, name = _between(path, folder), stem(path)
    plain = CHANNEL.sub("", IMAGE_END.sub("", CHANNEL.sub("", name)))
    names = (name, IMAGE_END.sub("", name), CHANNEL.sub("", name), plain, LABELS_END.sub("", name))
    return next(((between, each) for each in names if (between, each) in known), (between, plain))
