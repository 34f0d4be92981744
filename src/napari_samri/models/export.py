"""Whole checkpoints in SAM's own layout, for other tools that know SAM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from napari_samri.atomic import replacing
from napari_samri.errors import InputError, ModelError, StoreError
from napari_samri.filenames import has_suffix
from napari_samri.models.architecture import ARCHITECTURES, find_architecture
from napari_samri.models.checkpoint import read_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.models.model import LoadedModel

SUFFIXES = (".pth", ".pt")


def export_checkpoint(model: LoadedModel, path: Path) -> None:
    """Write a model as one file that the SAM library loads strictly.

    Its tensors have SAM's names, and nothing is wrapped around them:
    ``segment_anything.sam_model_registry["vit_b"](checkpoint=path)`` takes it. The encoder and
    the prompt encoder are those of the base, the decoder is the tuned one.

    Parameters
    ----------
    model : LoadedModel
        ViT-B, -L or -H.
    path : Path
        Ends in ``.pth`` or ``.pt``; a file that is there is replaced.

    Raises
    ------
    InputError
        If the name ends otherwise.
    ModelError
        If the SAM library has no such network.
    StoreError
        If the file cannot be written.
    """
    check_exportable(model.spec.architecture, model.spec.title)
    check_export_path(path)
    tensors = {name: _plain(value) for name, value in model.network.state_dict().items()}
    with replacing(path, durable=True) as temporary:
        _save(tensors, temporary)
        written = read_checkpoint(temporary).tensors
        if any(not torch.equal(value, written[name]) for name, value in tensors.items()):
            message = f"{path}: what was written is not what was to be written; try another disk."
            raise StoreError(message)


def check_exportable(architecture: str, title: str) -> None:
    """Refuse networks that the SAM library does not know.

    Raises
    ------
    ModelError
    """
    if not find_architecture(architecture).in_sam:
        fitting = (each.id for each in ARCHITECTURES.known().values() if each.in_sam)
        message = (
            f"{title} is a {architecture} network, which the SAM library does not know; expected "
            f"{', '.join(fitting)}. Tune a model with one of these to use it in "
            "other tools; this one runs in napari-samri only."
        )
        raise ModelError(message)


def check_export_path(path: Path) -> None:
    """Refuse names that other tools would not take for a checkpoint.

    Raises
    ------
    InputError
    """
    if not has_suffix(path, SUFFIXES):
        message = f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}."
        raise InputError(message)


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    # Through an open file: by name, torch would write the temporary file's name into it.
    try:
        with path.open("wb") as file:
            torch.save(tensors, file)
    except RuntimeError as error:  # how torch tells of a full disk
        message = f"{path.parent}: the checkpoint cannot be written ({error}). Make room."
        raise StoreError(message) from error


def _plain(value: torch.Tensor) -> torch.Tensor:
    """Return a tensor on the CPU that shares no larger memory, which would be saved as well."""
    plain = value.detach().to("cpu", torch.float32).contiguous()
    whole = plain.untyped_storage().nbytes() == plain.numel() * plain.element_size()
    return plain if whole else plain.clone()
