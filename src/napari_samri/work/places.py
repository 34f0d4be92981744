"""Where data come from and results go: what was typed, checked, and proposals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_samri.errors import InputError
from napari_samri.filenames import expand_user, has_suffix, stem_of
from napari_samri.places import home_folder

if TYPE_CHECKING:
    from pathlib import Path

BANK_SUFFIX = ".zarr"
# Of a run that embeds first, in its folder.
RUN_BANK = "bank.zarr"
_SOURCE_SUFFIXES = (BANK_SUFFIX, ".json", ".csv", ".tsv")


def bank_path(path: Path | None) -> Path:
    """Return where a bank goes: what was typed, with the suffix of banks.

    Raises
    ------
    InputError
        If nothing was typed, or there is no folder to make it in.
    """
    if path is None or not path.name:
        message = "there is no place for the bank yet; choose a folder and a name, NAME.zarr."
        raise InputError(message)
    path = expand_user(path)
    if not has_suffix(path, [BANK_SUFFIX]):
        path = path.with_name(f"{path.name}{BANK_SUFFIX}")
    if not path.parent.is_dir():
        message = f"{path}: the folder {path.parent} does not exist; make it first."
        raise InputError(message)
    return path.absolute()


def existing_source(path: Path | None) -> Path:
    """Return a manifest, or a folder or CSV of a data set.

    Raises
    ------
    InputError
        If none was chosen, or nothing lies there.
    """
    if path is None or not path.name:
        message = "there is no data set yet; choose a folder, a manifest or layers."
        raise InputError(message)
    path = expand_user(path).absolute()
    if not path.exists():
        message = f"{path}: there is no such file or folder; expected a data set."
        raise InputError(message)
    return path


def existing_bank(path: Path | None) -> Path:
    """Return a bank's folder.

    Raises
    ------
    InputError
        If none was chosen, or nothing lies there.
    """
    if path is None or not path.name:
        message = (
            "there is no bank yet; choose the folder of one (the Embed widget makes them), or the "
            "open layers."
        )
        raise InputError(message)
    path = expand_user(path).absolute()
    if not path.is_dir():
        message = f"{path}: there is no such folder; expected a bank, NAME.zarr."
        raise InputError(message)
    return path


def run_folder(path: Path | None) -> Path:
    """Return the folder of a run.

    Raises
    ------
    InputError
        If none was chosen, it would lie nowhere, or it is a file.
    """
    if path is None or not path.name:
        message = "there is no place for the result yet; choose a folder, which may be new."
        raise InputError(message)
    path = expand_user(path).absolute()
    if path.exists() and not path.is_dir():
        message = f"{path}: is a file; expected a folder for the result, which may be new."
        raise InputError(message)
    if not path.parent.is_dir():
        message = f"{path}: the folder {path.parent} does not exist; make it first."
        raise InputError(message)
    return path


def suggested_bank(source: Path | None) -> Path | None:
    """Return a place for a bank beside its data."""
    if source is None or not source.name or not source.exists():
        return None
    name = stem_of(source, _SOURCE_SUFFIXES) if source.is_file() else source.name
    return source.with_name(name + BANK_SUFFIX)


def suggested_run(source: Path, unfinished: Path | None = None) -> Path:
    """Return a folder for a run beside its data: that of an unfinished run, or a new one."""
    return first_free(source.with_name(f"{stem_of(source, _SOURCE_SUFFIXES)}_tuned"), unfinished)


def suggested_of_image(name: str, file: Path | None, ending: str) -> Path:
    """Return a place beside an image's file, or at home."""
    return (file.parent if file else home_folder()) / f"{slug(name)}{ending}"


def first_free(first: Path, unfinished: Path | None = None) -> Path:
    """Return a name that is not taken, or is that of an unfinished run."""
    number, path = 1, first
    while path.exists() and path != unfinished:
        number += 1
        path = first.with_name(f"{first.name}-{number}")
    return path


def slug(name: str) -> str:
    """Return a name for files: letters, digits, dots and dashes."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "image"
