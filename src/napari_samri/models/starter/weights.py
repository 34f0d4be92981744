"""The starter's weights on disk: half-precision safetensors with the architecture in the header."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from safetensors.torch import save

from napari_samri.atomic import replacing
from napari_samri.codec import with_digest
from napari_samri.errors import InputError, ModelError
from napari_samri.models.network import Architecture, fill
from napari_samri.models.starter.network import StarterConfig, StarterNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch

    from napari_samri.models.checkpoint import Checkpoint

FORMAT = "napari-samri-starter"
VERSION = 1
# Of the file in the package, here and not in the file, so that it cannot change along with it.
PACKAGED_SHA256 = "b31f2f0a3af59ff7e34d58e9041675355c0ea32062bebc09035603c8b4ca2b19"


def save_starter(
    path: Path, config: StarterConfig, tensors: Mapping[str, torch.Tensor], recipe: str = ""
) -> None:
    """Write weights as fp16, atomically; `recipe` says in JSON how they were trained."""
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "config": config.to_json(),
        "recipe": recipe or json.dumps({}),
    }
    half = {name: value.detach().half().contiguous() for name, value in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(with_digest(save(half, metadata=header)))


def check_packaged(path: Path) -> None:
    """Compare the file that comes with the package with what was packaged.

    Raises
    ------
    ModelError
        If it is missing, or another one.
    """
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error}). Install napari-samri again."
        raise ModelError(message) from error
    if found != PACKAGED_SHA256:
        message = (
            f"{path}: damaged or altered: its sha256 is {found}; expected {PACKAGED_SHA256}. "
            "Install napari-samri again."
        )
        raise ModelError(message)


def build_starter(checkpoint: Checkpoint) -> StarterNetwork:
    """Build the network that a starter file describes and load its weights strictly, as fp32.

    Raises
    ------
    ModelError
        If the file is of another format or version, or its tensors do not fit.
    """
    header = checkpoint.header
    if header.get("format") != FORMAT or header.get("version") != str(VERSION):
        message = (
            f"{checkpoint.path}: its header says {header.get('format')!r}, version "
            f"{header.get('version')!r}; expected {FORMAT!r}, version {VERSION}."
        )
        raise ModelError(message)
    network = StarterNetwork(_config(checkpoint))
    fill(network, checkpoint)
    return network.eval()


def _config(checkpoint: Checkpoint) -> StarterConfig:
    text = checkpoint.header.get("config", "")
    try:
        return StarterConfig.from_json(text)
    except InputError as error:
        message = (
            f"{checkpoint.path}: its header describes no architecture that this version knows "
            f"({error}). Expected a file made by napari_samri.training.starter.train."
        )
        raise ModelError(message) from error


STARTER_NETWORK = Architecture(
    id="starter",
    title="Starter",
    fits=lambda shapes: "image_encoder.stages.0.0.weight" in shapes,
    build=build_starter,
    family="starter",
)
