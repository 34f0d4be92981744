"""Where the checkpoints are that decoders were tuned from, as far as this machine knows.

A decoder's card names its base by file name and digest only. The way to it is kept beside the
models, one small file per digest, and is a hint: what it leads to is checked by its tensors.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from napari_samri.atomic import make_folder, replacing
from napari_samri.codec import read_bytes
from napari_samri.errors import InputError, StoreError
from napari_samri.models.card import Base
from napari_samri.models.download import models_dir

_FOLDER = "bases"
_HINT_BYTES = 1 << 16


def base_of_file(path: Path) -> Base:
    """Return a checkpoint given by path as a base, and remember where it is."""
    with path.open("rb") as file:
        base = Base(name=path.name, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    remember_base(base, path)
    return base


def remember_base(base: Base, path: Path) -> None:
    """Remember the way to a base that is no known model.

    Where the models folder is read-only, nothing is remembered: the checkpoint then has to be
    given, or to lie beside the decoder.
    """
    if base.sha256 is None:
        return
    hint, content = _hint(base.sha256), os.fsencode(path.resolve())
    with suppress(StoreError):
        make_folder(hint.parent)
        with replacing(hint) as temporary:
            temporary.write_bytes(content)


def find_base(base: Base, decoder: Path) -> Path | None:
    """Return a file that may be a base: beside the decoder, in the models folder, as remembered.

    In this order, so that a file that somebody puts there counts more than what was once known.

    Parameters
    ----------
    base : Base
        No known model.
    decoder : Path
        The decoder that was tuned from it.

    Returns
    -------
    Path or None
        None if there is no such file.
    """
    places = [decoder.parent / base.name, models_dir() / base.name]
    with suppress(InputError):
        hint = read_bytes(_hint(base.sha256 or ""), _HINT_BYTES)
        places.append(Path(os.fsdecode(hint)))
    return next(filter(_is_file, places), None)


def _is_file(path: Path) -> bool:
    with suppress(OSError, ValueError):  # a name that is too long, or that no file can have
        return path.is_file()
    return False


def _hint(sha256: str) -> Path:
    return models_dir() / _FOLDER / f"{sha256}.txt"
