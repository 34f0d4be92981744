"""Which networks there are, and which of them a checkpoint's tensors fit.

To add a network, write a module that makes a `Network` of a checkpoint, and register an
`Architecture`; a package brings one by the entry point group ``napari_samri.architectures``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.errors import ModelError
from napari_samri.models.network import Architecture
from napari_samri.models.sam1 import VITS
from napari_samri.models.starter import STARTER_NETWORK
from napari_samri.models.tinyvit import TINY_VITS
from napari_samri.plugins import NamedRegistry

if TYPE_CHECKING:
    from napari_samri.models.checkpoint import Checkpoint
    from napari_samri.models.network import Shapes

_PATCHES = "image_encoder.patch_embed.proj.weight"


def _marked(name: str, title: str, *marks: str) -> Architecture:
    """Return a network near to SAM's that cannot be run, known by a part of its tensors' names."""

    def fits(shapes: Shapes) -> bool:
        return any(mark in tensor for tensor in shapes for mark in marks)

    return Architecture(id=name, title=title, fits=fits)


_OWN = (*VITS, *TINY_VITS, STARTER_NETWORK)
_NOT_RUN = (
    _marked("sam_med2d", "SAM-Med2D (its encoder has adapters)", "Adapter"),
    _marked("sam2", "SAM 2 or MedSAM2", "image_encoder.trunk.", "sam_mask_decoder."),
    _marked("sam2_transformers", "SAM 2 (transformers)", "image_encoder.backbone."),
    _marked(
        "sam_hq", "SAM-HQ (its decoder has a token more)", "mask_decoder.hf_", "mask_decoder.hq_"
    ),
    _marked("sam_lora", "a SAM with low-rank adapters", "lora_"),
    Architecture(
        id="sam_med3d",
        title="SAM-Med3D (its encoder takes volumes)",
        fits=lambda shapes: len(shapes.get(_PATCHES, ())) == 5,
    ),
)
ARCHITECTURES = NamedRegistry(
    "napari_samri.architectures",
    Architecture,
    lambda: (*_OWN, *_NOT_RUN),
    noun="architecture",
    error=ModelError,
)
register_architecture = ARCHITECTURES.register
unregister_architecture = ARCHITECTURES.unregister
find_architecture = ARCHITECTURES.find


def detect_architecture(checkpoint: Checkpoint) -> Architecture:
    """Return the architecture that a checkpoint's tensors fit, one that can be run if there is any.

    What has the marks of a variant of SAM's networks is that variant and no plain SAM: a plugin
    that runs the variant comes before.

    Raises
    ------
    ModelError
        If the tensors fit none that can be run; the message says what they look like.
    """
    shapes = {name: tuple(value.shape) for name, value in checkpoint.tensors.items()}
    fitting = [each for each in ARCHITECTURES.known().values() if each.fits(shapes)]
    variants = [each for each in fitting if each not in _OWN]
    chosen = [each for each in variants or fitting if each.runs]
    if chosen:
        return chosen[0]
    runs = [each.title for each in ARCHITECTURES.known().values() if each.runs]
    if variants:
        what = f"looks like {variants[0].title}, which this version cannot run"
    else:
        what = (
            f"not a checkpoint of a SAM-family model. Found {_listed(shapes)}; expected names like "
            "'image_encoder.pos_embed'"
        )
    message = f"{checkpoint.path}: {what}. Expected {', '.join(runs)}, or a model tuned from one."
    raise ModelError(message)


def _listed(shapes: Shapes) -> str:
    some = [f"{name} {shape}" for name, shape in sorted(shapes.items())[:3]]
    return f"{len(shapes)} tensors, e.g. {', '.join(some)}"
