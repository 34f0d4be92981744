"""Models by name: the catalogue, registered ones, those that packages bring, and tuned ones.

A package brings models by the entry point group ``napari_samri.models``. The decoders that this
user tuned are in one folder, whose files are listed like any other model.
"""

from __future__ import annotations

import filecmp
import logging
import re
import shutil
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import SignalInstance

from napari_samri.atomic import make_folder, replacing
from napari_samri.codec import Sorted, Unreadable, read_each
from napari_samri.errors import InputError, ModelError, StoreError
from napari_samri.filenames import has_suffix
from napari_samri.models.card import DecoderCard, read_decoder_card
from napari_samri.models.catalogue import CATALOGUE, ModelSpec
from napari_samri.models.files import check_digest, models_dir
from napari_samri.plugins import NamedRegistry, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping


logger = logging.getLogger(__name__)

ID_PREFIX = "tuned/"
_SUFFIX = ".safetensors"
_LONGEST_NAME = 60


def tuned_dir() -> Path:
    """Return the folder of tuned decoders, inside the models folder; it may not exist yet."""
    return models_dir() / "tuned"


def tuned_models() -> list[ModelSpec]:
    """Return the decoders in the folder, by name; a damaged file is warned of and left out."""
    return list(_listed().good)


def unreadable_models() -> list[Unreadable]:
    """Return the ids of the files in the folder that are no sound decoders, and the reasons."""
    return [Unreadable(_id(Path(each.name)), each.reason) for each in _listed().bad]


def add_tuned(path: Path, name: str = "") -> ModelSpec:
    """Copy a tuned decoder into the folder, so that it is known as ``tuned/NAME`` from now on.

    A decoder that is there already is not copied again.

    Parameters
    ----------
    path : Path
        As `napari_samri.models.tuned.write_decoder` writes it.
    name : str
        By default the card's title; made fit for a file name, and numbered if it is taken.

    Returns
    -------
    ModelSpec

    Raises
    ------
    InputError, ModelError
        If there is no such file, or it is no tuned decoder.
    StoreError
        If the folder cannot be written.
    """
    path = Path(path)
    card = read_decoder_card(path)
    check_digest(path)
    for known in _files():
        if filecmp.cmp(known, path, shallow=False):
            return decoder_spec(card, known, _id(known))
    target = _reserve(_slug(name or card.title))
    try:
        with replacing(target, durable=True) as temporary:
            shutil.copyfile(path, temporary)
            read_decoder_card(temporary)
            check_digest(temporary)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    models_changed.emit()
    return decoder_spec(card, target, _id(target))


def remove_tuned(name: str) -> None:
    """Delete a tuned decoder, given by its id.

    Raises
    ------
    InputError
        If it is none of the folder's.
    StoreError
        If the folder cannot be written.
    """
    path = next((path for path in _files() if _id(path) == name), None)
    if path is None:
        known = ", ".join(map(_id, _files())) or "there are none"
        message = f"{name!r} is no tuned decoder, and only those can be removed: {known}."
        raise InputError(message)
    try:
        path.unlink()
    except OSError as error:
        message = f"{path}: cannot be deleted ({error.strerror or error})."
        raise StoreError(message) from error
    models_changed.emit()


def decoder_spec(card: DecoderCard, path: Path, name: str) -> ModelSpec:
    """Return the entry of a tuned decoder under an id."""
    unusual = name.startswith(ID_PREFIX) and path.stem != _slug(card.title)
    return ModelSpec(
        id=name,
        # Two listed decoders of one title are told apart by their files' names.
        title=f"{card.title} ({path.stem})" if unusual else card.title,
        family=card.family,
        architecture=card.architecture,
        download=None,
        licence=card.licence,
        description=card.description or _describe(card),
        score_is_stale=not card.trains_quality,
        takes_points=card.takes_points,
        lone_point=card.lone_point,
        path=str(path),
        base=card.base.name,
    )


def _describe(card: DecoderCard) -> str:
    name = card.objective.get("name")
    known = isinstance(name, str) and name.isprintable()
    objective = name if known else "an unknown objective"
    return (
        f"Decoder tuned from {card.base.name} with {objective}: {card.epochs} epochs, "
        f"{card.samples} masks."
    )


def _files() -> list[Path]:
    """Return the folder's decoders, without those that are being written."""
    try:
        inside = sorted(tuned_dir().iterdir(), key=lambda path: path.stem)
    except FileNotFoundError:
        return []
    except OSError as error:
        logger.warning("the tuned models in %s cannot be listed: %s", tuned_dir(), error)
        return []
    return [path for path in inside if has_suffix(path, [_SUFFIX]) and path.name[0] != "."]


def _listed() -> Sorted[ModelSpec]:
    return read_each(_files(), _read)


def _read(path: Path) -> ModelSpec | None:
    try:
        state = path.stat()
    except OSError:  # removed just now
        return None
    if not state.st_size:  # a name that is reserved
        return None
    found = _read_once(path, state.st_mtime_ns, state.st_size)
    if isinstance(found, str):
        raise ModelError(found)
    return found


@lru_cache(maxsize=1000)
def _read_once(path: Path, _mtime: int, _size: int) -> ModelSpec | str:
    """Read a card, once per state of its file: pickers and look-ups list the folder often."""
    try:
        return decoder_spec(read_decoder_card(path), path, _id(path))
    except (InputError, ModelError) as error:
        logger.warning("left out of the tuned models: %s", error)
        return str(error)


def _id(path: Path) -> str:
    return f"{ID_PREFIX}{path.stem}"


def _slug(name: str) -> str:
    words = re.sub(r"[^\w.]+", "-", name.lower())[:_LONGEST_NAME].strip("-.")
    return words or "decoder"


def _reserve(name: str) -> Path:
    """Make an empty file under a name that nobody has, not even another process."""
    make_folder(tuned_dir())
    for number in count(1):
        path = tuned_dir() / f"{name}{f'-{number}' if number > 1 else ''}{_SUFFIX}"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        except OSError as error:
            message = f"{path}: cannot be written ({error.strerror or error})."
            raise StoreError(message) from error
        return path
    raise AssertionError  # count() does not end


MODELS = NamedRegistry(
    "napari_samri.models", ModelSpec, lambda: CATALOGUE, noun="model", error=ModelError
)


def register_model(spec: ModelSpec) -> None:
    """Add a model under its id.

    Raises
    ------
    ModelError
        If another model has that id.
    """
    MODELS.register(spec)
    models_changed.emit()


def known_models() -> dict[str, ModelSpec]:
    """Return all models by id, in the catalogue's order; a later one never hides an earlier.

    Decoders that this user tuned come last; `napari_samri.models.models_changed` tells of new ones.
    """
    models = MODELS.known()
    for spec in tuned_models():
        models.setdefault(spec.id, spec)
    return models


def find_model(name: str) -> ModelSpec:
    """Return a model by id.

    Raises
    ------
    ModelError
        If there is none, the message offers the nearest ids; if its file is damaged, it says how.
    """
    models = known_models()
    if name in models:
        return models[name]
    for damaged in unreadable_models():
        if damaged.name == name:
            message = f"'{name}' cannot be used: {damaged.reason}"
            raise ModelError(message)
    message = (
        f"'{name}' is neither a known model nor a checkpoint file. {did_you_mean(name, models)}"
        f"Known models: {', '.join(models)}; or give the path of a .pth, .pt or "
        ".safetensors file."
    )
    raise ModelError(message)


def needed_model(spec: ModelSpec, models: Mapping[str, ModelSpec]) -> ModelSpec:
    """Return the model whose file has to be here: a tuned decoder's base if it is a known one.

    Of all other models, it is the model itself.

    Parameters
    ----------
    spec : ModelSpec
    models : mapping
        As `known_models` returns them: asking anew for each of many models takes a while.
    """
    return models.get(spec.base, spec) if spec.base is not None else spec


# Emitted without arguments, on whatever thread, after the known models have changed.
models_changed = SignalInstance(name="models_changed")
