"""What a checkpoint given by its path is, told by the file itself and not by where it came from.

Its score means something only if the head that predicts it was trained along with the masks.
SAMRI and MedSAM left it as SAM has it and trained the rest; so a decoder that is not SAM's, with
a head that is, has a stale score. Where that cannot be told, because SAM's own file is not on
this machine, nothing is claimed for the score.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_samri.errors import InputWarning, SamriError
from napari_samri.filenames import CHECKPOINT_SUFFIXES, stem_of
from napari_samri.models.card import DECODER_PREFIX
from napari_samri.models.catalogue import BEST, CATALOGUE, SINGLE, ModelSpec
from napari_samri.models.checkpoint import read_checkpoint
from napari_samri.models.files import local_path
from napari_samri.models.preprocessing import MEDSAM, SAM
from napari_samri.models.registry import known_models

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from napari_samri.models.checkpoint import Checkpoint
    from napari_samri.models.network import Architecture

_SCORE_PREFIX = f"{DECODER_PREFIX}iou_prediction_head."
# What the trainer of MedicoSAM and micro-sam writes beside the model. It trains the score, and
# chooses the best of three masks for a lone point.
_INTERACTIVE_TRAINER = frozenset({"model_state", "decoder_state"})


def spec_of_file(
    checkpoint: Checkpoint, architecture: Architecture, family: str | None
) -> ModelSpec:
    """Return the entry of a checkpoint that was given by its path.

    Parameters
    ----------
    checkpoint : Checkpoint
    architecture : Architecture
        As `detect_architecture` tells it.
    family : str or None
        As the user says; None to tell it from the file.
    """
    path = checkpoint.path
    name = stem_of(path, CHECKPOINT_SUFFIXES)
    spec = ModelSpec(
        id=name,
        title=name,
        family=family or architecture.family,
        architecture=architecture.id,
        download=None,
        licence="unknown",
        description=f"The checkpoint {path}.",
    )
    published = _published(path, architecture.id)
    if published is not None:
        return _with_traits(spec, published, family)
    if architecture.original is None:
        return spec
    family = family or _guessed_family(path, spec)
    interactive = checkpoint.entries >= _INTERACTIVE_TRAINER
    return replace(
        spec,
        family=family,
        score_is_stale=not interactive
        and (family == MEDSAM.id or _is_stale(checkpoint, architecture.original)),
        # As the published model is that a family is named after.
        takes_points=all(spec.takes_points for spec in CATALOGUE if spec.id == family),
        lone_point=BEST if interactive else SINGLE,
    )


def _with_traits(spec: ModelSpec, published: ModelSpec, family: str | None) -> ModelSpec:
    return replace(
        spec,
        family=family or published.family,
        licence=published.licence,
        description=f"{published.title}, as published.",
        score_is_stale=published.score_is_stale,
        takes_points=published.takes_points,
        lone_point=published.lone_point,
    )


def _published(path: Path, architecture: str) -> ModelSpec | None:
    """Return the catalogue's entry whose published file this is, by its digest."""
    import pooch

    size, found = path.stat().st_size, dict[str, str]()
    for spec in CATALOGUE:
        download = spec.download
        if download is None or download.digest is None or spec.architecture != architecture:
            continue
        if download.size not in (None, size):
            continue
        algorithm, expected = download.digest.split(":")
        if algorithm not in found:
            found[algorithm] = pooch.file_hash(str(path), alg=algorithm)
        if found[algorithm] == expected:
            return spec
    return None


def _guessed_family(path: Path, spec: ModelSpec) -> str:
    if spec.family != SAM.id or "medsam" not in spec.id.lower():
        return spec.family
    # MedSAM's tensors have SAM's layout: nothing but its name tells its preprocessing.
    message = (
        f"{path.name}: taken for a MedSAM checkpoint because of its name, and given "
        "MedSAM's preprocessing; choose the family 'sam' if that is wrong."
    )
    warnings.warn(message, InputWarning, stacklevel=2)
    return MEDSAM.id


def _is_stale(checkpoint: Checkpoint, original_id: str) -> bool:
    """Tell whether a decoder was trained, but not the original's head for its score.

    Also true where the original's file is not here to compare with.
    """
    found = known_models().get(original_id)
    path = None if found is None else local_path(found)
    if path is None:
        return True
    try:
        original = _decoder(read_checkpoint(path).tensors)
    except SamriError:  # torn, or another model's file under SAM's name
        return True
    mine = _decoder(checkpoint.tensors)
    changed = {name for name, value in mine.items() if not _is_same(value, original.get(name))}
    return bool(changed) and not any(name.startswith(_SCORE_PREFIX) for name in changed)


def _decoder(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: v for name, v in tensors.items() if name.startswith(DECODER_PREFIX)}


def _is_same(value: torch.Tensor, original: torch.Tensor | None) -> bool:
    """Tell whether a tensor is the original one, perhaps in a smaller dtype."""
    if original is None or value.shape != original.shape:
        return False
    return bool(value.equal(original.to(value.dtype)))
