"""A model by name or path: found, checked, built, and put on a device."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.errors import ModelError
from napari_samri.filenames import CHECKPOINT_SUFFIXES, expand_user, has_suffix, stem_of
from napari_samri.models.architecture import detect_architecture, find_architecture
from napari_samri.models.card import DecoderCard, is_decoder
from napari_samri.models.checkpoint import Checkpoint, read_checkpoint
from napari_samri.models.device import resolve_device
from napari_samri.models.files import fetch
from napari_samri.models.model import LoadedModel, encoder_sha256
from napari_samri.models.preprocessing import known_preprocessings
from napari_samri.models.recognise import spec_of_file
from napari_samri.models.registry import decoder_spec, find_model, known_models
from napari_samri.models.starter import check_packaged
from napari_samri.models.tuned import (
    assumed_base,
    is_bare_decoder,
    locate_base,
    remember_base,
    with_bare_decoder,
    with_decoder,
)

if TYPE_CHECKING:
    import torch

    from napari_samri.models.catalogue import ModelSpec
    from napari_samri.models.files import ProgressCallback
    from napari_samri.models.network import Network
    from napari_samri.models.preprocessing import Preprocessing

logger = logging.getLogger(__name__)

STARTER_WEIGHTS = "starter.safetensors"


def load_model(
    model: str | Path,
    device: str = "auto",
    *,
    family: str | None = None,
    base: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> LoadedModel:
    """Load a known model, a checkpoint by path, or a tuned decoder with its base.

    Parameters
    ----------
    model : str or path
        Id of a known model, which is downloaded if need be, or a file: a whole checkpoint, a
        decoder tuned by this package, or another decoder alone, which is put onto `base` or else
        onto the known model whose decoder has its shapes.
    device : str
        See `napari_samri.models.device.resolve_device`.
    family : str, optional
        Preprocessing to use for a checkpoint given by path: ``sam`` (also SAMRI and MedicoSAM),
        ``medsam``, or ``starter``. Without it, it is told from the file.
    base : str or path, optional
        The model that a decoder was tuned from, where it is not found by itself.
    progress : callable, optional
        Called with (bytes done, bytes in all) during a download.

    Raises
    ------
    ModelError, DownloadError, InputError
        If the model is unknown, cannot be had, or is not what it should be.
    """
    target = resolve_device(device)
    spec, path = _find(model, progress)
    checkpoint = read_checkpoint(path)
    if is_decoder(checkpoint.header):
        name = spec.id if spec else stem_of(path, CHECKPOINT_SUFFIXES)
        return _load_tuned(_Tuned(checkpoint, name, family, base), target, progress)
    if is_bare_decoder(checkpoint.tensors):
        return _load_bare(_Tuned(checkpoint, "", family, base), target, progress)
    if base is not None:
        message = f"{path}: a whole checkpoint, which needs no base; {base} was given as its base."
        raise ModelError(message)
    return _load_whole(spec, checkpoint, target, family)


@dataclass(frozen=True, eq=False)
class _Tuned:
    """A tuned decoder's file, and what was asked of it."""

    checkpoint: Checkpoint
    name: str
    family: str | None
    base: str | Path | None


def _load_tuned(
    tuned: _Tuned, target: torch.device, progress: ProgressCallback | None
) -> LoadedModel:
    path = tuned.checkpoint.path
    card = DecoderCard.from_header(tuned.checkpoint.header, path)
    if tuned.family not in (None, card.family):
        message = (
            f"{path}: was tuned with the preprocessing of the family '{card.family}', and runs "
            f"with that only; '{tuned.family}' was asked for."
        )
        raise ModelError(message)
    spec, base_path = _find(locate_base(card, path, tuned.base), progress)
    checkpoint = read_checkpoint(base_path)
    if is_decoder(checkpoint.header):
        message = f"{base_path}: a tuned decoder; expected the whole model that {path} needs."
        raise ModelError(message)
    base = _load_whole(spec, checkpoint, target, card.family)
    model = with_decoder(base, tuned.checkpoint, card, decoder_spec(card, path, tuned.name))
    if base.path is not None:
        remember_base(card.base, base.path)
    return model


def _load_bare(
    bare: _Tuned, target: torch.device, progress: ProgressCallback | None
) -> LoadedModel:
    """Put a decoder without a card onto the model that was given, or that its shapes need."""
    checkpoint = bare.checkpoint
    spec, path = _find(bare.base or assumed_base(checkpoint), progress)
    whole = read_checkpoint(path)
    if is_decoder(whole.header) or is_bare_decoder(whole.tensors):
        message = f"{path}: a decoder alone; expected the whole model of {checkpoint.path}."
        raise ModelError(message)
    base = _load_whole(spec, whole, target, bare.family)
    own = spec_of_file(checkpoint, find_architecture(base.spec.architecture), base.spec.family)
    return with_bare_decoder(base, checkpoint, replace(own, base=base.spec.id))


def _load_whole(
    spec: ModelSpec | None, checkpoint: Checkpoint, target: torch.device, family: str | None
) -> LoadedModel:
    path = checkpoint.path
    architecture = detect_architecture(checkpoint)
    known = spec is not None
    if spec is None:
        spec = spec_of_file(checkpoint, architecture, family)
    elif spec.architecture != architecture.id:
        message = (
            f"{path}: its tensors fit the architecture {architecture.id}, but {spec.title} is "
            f"{spec.architecture}. The file belongs to another model."
        )
        raise ModelError(message)
    spec = replace(spec, family=family) if family else spec
    network = architecture.build(checkpoint).requires_grad_(False)
    return LoadedModel(
        spec=spec,
        network=network.to(target),
        preprocessing=_fitting_preprocessing(spec, network, path),
        encoder=encoder_sha256(network.state_dict()),
        device=target,
        path=None if known else path,
    )


def _fitting_preprocessing(spec: ModelSpec, network: Network, path: Path) -> Preprocessing:
    """Return a model's preprocessing, which has to make inputs of its network's shape."""
    layout = network.layout
    shape = (layout.channels, layout.input_size, layout.input_size)
    fitting = {p.id: p for p in known_preprocessings().values() if p.input_shape == shape}
    if spec.family not in fitting:
        message = (
            f"{path}: the family '{spec.family}' does not fit a {spec.architecture} checkpoint, "
            f"whose input is {shape}; expected {' or '.join(fitting)}."
        )
        raise ModelError(message)
    return fitting[spec.family]


def _find(model: str | Path, progress: ProgressCallback | None) -> tuple[ModelSpec | None, Path]:
    """Return the catalogue's entry, if the model has one, and the file to read."""
    path = _as_path(model)
    if path is not None:
        return None, path
    spec = find_model(str(model))
    if spec.path is not None:
        return spec, Path(spec.path)
    if spec.download is None:
        packaged = Path(str(files("napari_samri.models.starter") / STARTER_WEIGHTS))
        check_packaged(packaged)
        return spec, packaged
    if not spec.available:
        message = f"{spec.title} is listed, but this version cannot run it yet."
        raise ModelError(message)
    return spec, fetch(spec, progress)


def _as_path(model: str | Path) -> Path | None:
    """Return what was given as a path, if it is one rather than the id of a known model."""
    path = expand_user(model)
    if path.is_file():
        return path
    # What is there but is no file, or only looks like one, is told of as what it is.
    named = has_suffix(path, CHECKPOINT_SUFFIXES) or (bool(path.name) and _is_there(path))
    return path if named and str(model) not in known_models() else None


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, or a null character
        return False
