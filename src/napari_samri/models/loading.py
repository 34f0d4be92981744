"""A model by name or path: found, checked, built, and put on a device."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.errors import ModelError
from napari_samri.filenames import CHECKPOINT_SUFFIXES, expand_user, has_suffix, stem_of
from napari_samri.models.architecture import detect_architecture
from napari_samri.models.bare import assumed_base, is_bare_decoder, with_bare_decoder
from napari_samri.models.bases import remember_base
from napari_samri.models.card import DecoderCard, is_decoder
from napari_samri.models.checkpoint import Checkpoint, read_checkpoint
from napari_samri.models.device import resolve_device
from napari_samri.models.download import fetch
from napari_samri.models.identity import encoder_sha256
from napari_samri.models.preprocessing import FAMILIES, Family
from napari_samri.models.recognise import spec_of_file
from napari_samri.models.registry import find_model, known_models
from napari_samri.models.sam1 import build_vit
from napari_samri.models.starter import STARTER, build_starter, check_packaged
from napari_samri.models.tuned import locate_base, with_decoder
from napari_samri.models.tuned_folder import decoder_spec

if TYPE_CHECKING:
    import torch

    from napari_samri.models.download import ProgressCallback
    from napari_samri.models.spec import ModelSpec

logger = logging.getLogger(__name__)

STARTER_WEIGHTS = "starter.safetensors"
_FAMILIES = FAMILIES | {STARTER.id: STARTER}
_VIT_FAMILIES = ("sam", "medsam")
_LISTED_ONLY = {"mobile_sam": "MobileSAM", "lite_medsam": "LiteMedSAM"}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network on its device, with all that is needed to run it.

    Parameters
    ----------
    spec : ModelSpec
    network : torch.nn.Module
        With SAM's three parts: `image_encoder`, `prompt_encoder`, `mask_decoder`.
    family : Family
    encoder : str
        SHA-256 of the encoder's tensors.
    device : torch.device
    path : Path or None
        Of the checkpoint, if it was given by path; of a tuned model, its base's.
    card : DecoderCard or None
        Of a tuned model.
    """

    spec: ModelSpec
    network: Any
    family: Family
    encoder: str
    device: torch.device
    path: Path | None = None
    card: DecoderCard | None = None


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
    own = spec_of_file(checkpoint, base.spec.architecture, base.spec.family)
    return with_bare_decoder(base, checkpoint, replace(own, base=base.spec.id))


def _load_whole(
    spec: ModelSpec | None, checkpoint: Checkpoint, target: torch.device, family: str | None
) -> LoadedModel:
    path = checkpoint.path
    architecture = detect_architecture(checkpoint)
    if architecture in _LISTED_ONLY:
        message = (
            f"{path}: a {_LISTED_ONLY[architecture]} checkpoint, which this version cannot run."
        )
        raise ModelError(message)
    known = spec is not None
    spec = _checked(spec, checkpoint, architecture, family)
    network = _build(checkpoint, architecture)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return LoadedModel(
        spec=spec,
        network=network.to(target),
        family=_FAMILIES[spec.family],
        encoder=encoder_sha256(network.state_dict()),
        device=target,
        path=None if known else path,
    )


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


def _checked(
    spec: ModelSpec | None, checkpoint: Checkpoint, architecture: str, family: str | None
) -> ModelSpec:
    """Return the entry of a model that may have come by path, checked against its file."""
    path = checkpoint.path
    if spec is None:
        spec = spec_of_file(checkpoint, architecture, family)
    elif spec.architecture != architecture:
        message = (
            f"{path}: its tensors fit the architecture {architecture}, but {spec.title} is "
            f"{spec.architecture}. The file belongs to another model."
        )
        raise ModelError(message)
    spec = replace(spec, family=family) if family else spec
    fitting = (STARTER.id,) if architecture == "starter" else _VIT_FAMILIES
    if spec.family not in fitting:
        message = (
            f"{path}: the family '{spec.family}' does not fit a {architecture} checkpoint; "
            f"expected {' or '.join(fitting)}."
        )
        raise ModelError(message)
    return spec


def _build(checkpoint: Checkpoint, architecture: str) -> Any:
    if architecture == "starter":
        return build_starter(checkpoint)
    return build_vit(checkpoint, architecture)
