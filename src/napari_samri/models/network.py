"""What a promptable network is to all that use one: it encodes, it decodes, and a part is trained.

The predictor, training, banks and benchmarks know networks by this alone. The features of an image
have names, since some networks have several levels of them; SAM's one is ``image``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
import torch

from napari_samri.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike
    from torch import nn

    from napari_samri.models.checkpoint import Checkpoint

# Called with the share of the encoder that is done, 0 to 1; raises `Cancelled` to stop it.
Watch = Callable[[float], None]
# Takes predicted IoUs (N, M); returns which masks (N, K) of each prompt to make.
Choose = Callable[[torch.Tensor], torch.Tensor]
Features = Mapping[str, torch.Tensor]
# Of a checkpoint's tensors, by name.
Shapes = Mapping[str, tuple[int, ...]]

PADDING = -1.0
NEGATIVE, POSITIVE, CORNER_LOW, CORNER_HIGH = 0.0, 1.0, 2.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The sizes of a network's arrays.

    Parameters
    ----------
    input_size : int
        Side S of the square input in pixels.
    channels : int
        Of the input.
    low_res_size : int
        Side L of masks and of mask prompts in pixels.
    features : mapping of str to tuple of int
        Shapes (C, h, w) of an image's features by name.
    """

    input_size: int
    channels: int = 3
    low_res_size: int
    features: Mapping[str, tuple[int, int, int]]

    def low_res_to_input(self, points_low_res: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Map points (N, T, 2) in low-resolution pixels to the input: centres to centres.

        Corners of boxes, by their labels (N, T), go to the corners of the pixels that they cover.
        """
        scale = self.input_size / self.low_res_size
        shift = torch.full_like(labels, scale / 2 - 0.5)
        shift = torch.where(labels == CORNER_LOW, 0.0, shift)
        shift = torch.where(labels == CORNER_HIGH, scale - 1, shift)
        return points_low_res * scale + shift[..., None]


@dataclass(frozen=True, eq=False)
class PromptBatch:
    """Prompts of N objects, each with T tokens.

    Corners of boxes, points and padding are tokens of one kind, so that objects with a box and
    objects with a point share a batch.

    Parameters
    ----------
    points_input : float tensor (N, T, 2)
        (x, y) in pixels of the model's input.
    labels : float tensor (N, T)
        0 and 1 of points off and on the object, 2 and 3 of a box's corners, -1 of padding.
    masks : float tensor (N, 1, L, L) or None
        Logits; None if no object has any.
    has_mask : bool tensor (N,)
        Which objects have a mask prompt.
    """

    points_input: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor | None
    has_mask: torch.Tensor

    @classmethod
    def of(
        cls,
        *,
        points_input: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        boxes_input: torch.Tensor | None = None,
        masks: torch.Tensor | None = None,
    ) -> Self:
        """Put prompts of N objects together as SAM does: points, then corners or padding.

        Parameters
        ----------
        points_input, labels : tensor (N, P, 2) and (N, P), optional
        boxes_input : tensor (N, 4), optional
            x0, y0, x1, y1. Points without a box get a token of padding.
        masks : tensor (N, 1, L, L), optional
            Logits.
        """
        given = next(t for t in (points_input, boxes_input, masks) if t is not None)
        count = len(given)
        places, kinds = [given.new_empty(count, 0, 2)], [given.new_empty(count, 0)]
        if points_input is not None and labels is not None:
            places.append(points_input)
            kinds.append(labels)
        if boxes_input is not None:
            places.append(boxes_input.reshape(count, 2, 2))
            kinds.append(given.new_tensor([CORNER_LOW, CORNER_HIGH]).expand(count, 2))
        elif points_input is not None:
            places.append(given.new_zeros(count, 1, 2))
            kinds.append(given.new_full((count, 1), PADDING))
        has_mask = torch.full((count,), masks is not None, device=given.device)
        return cls(torch.cat(places, dim=1), torch.cat(kinds, dim=1), masks, has_mask)

    @classmethod
    def of_one(
        cls,
        device: torch.device,
        *,
        points_input: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        box_input: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Self:
        """Put one object's prompt together: points (P, 2), labels (P,), box (4,), logits (L, L)."""

        def tensor(array: ArrayLike | None, *shape: int) -> torch.Tensor | None:
            if array is None:
                return None
            return torch.tensor(np.asarray(array), dtype=torch.float32, device=device).reshape(
                shape
            )

        side = len(np.asarray(mask)) if mask is not None else 0
        return cls.of(
            points_input=tensor(points_input, 1, -1, 2),
            labels=tensor(labels, 1, -1),
            boxes_input=tensor(box_input, 1, 4),
            masks=tensor(mask, 1, 1, side, side),
        )

    @property
    def is_lone_point(self) -> torch.Tensor:
        """Which objects (N,) have a single point on them and nothing else: an ambiguous prompt."""
        points = (self.labels == POSITIVE).sum(dim=1)
        tokens = (self.labels != PADDING).sum(dim=1)
        return (points == 1) & (tokens == 1) & ~self.has_mask


def choose_candidates(scores: torch.Tensor) -> torch.Tensor:
    """Choose all candidates of each prompt, by scores (N, M)."""
    return torch.arange(1, scores.shape[1], device=scores.device).expand(len(scores), -1)


def best_where(ambiguous: torch.Tensor) -> Choose:
    """Choose the candidate of the highest score where a prompt (N,) is ambiguous, else mask 0."""
    return lambda scores: torch.where(ambiguous, 1 + scores[:, 1:].argmax(dim=1), 0)[:, None]


class Network(Protocol):
    """A promptable network, which is a `torch.nn.Module`.

    Its tensors are named as SAM's: those of the encoder begin with ``image_encoder.``, those that
    only prompts need with ``prompt_encoder.``, and those of `trainable` with ``mask_decoder.``.
    Encoders are told apart, decoders kept and checkpoints written by these names.
    """

    @property
    def layout(self) -> Layout:
        """The sizes of its arrays."""

    @property
    def trainable(self) -> nn.Module:
        """What fine-tuning trains: its decoder."""

    def encode(self, images: torch.Tensor, watch: Watch | None = None) -> Features:
        """Return features (B, C, h, w) by name of inputs (B, channels, S, S)."""

    def decode(
        self,
        features: Features,
        prompts: PromptBatch,
        *,
        image: torch.Tensor | None = None,
        choose: Choose | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer prompts.

        Parameters
        ----------
        features : mapping of str to tensor (B, C, h, w)
        prompts : PromptBatch
            Of N objects.
        image : int tensor (N,), optional
            Which image each object is on; without it, each image has N / B of them in turn.
        choose : callable, optional
            Takes the predicted IoUs (N, M) and returns which masks (N, K) to make; all M if left
            out.

        Returns
        -------
        logits : tensor (N, K, L, L)
            Mask 0 is the single one, the others are candidates for an ambiguous prompt.
        scores : tensor (N, K)
            Predicted IoU.
        """

    def state_dict(self, *, keep_vars: bool = False) -> dict[str, torch.Tensor]:
        """Return all tensors by name; `keep_vars` returns them as parameters."""

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> object:
        """Take the values of tensors by name, or the tensors themselves."""

    def to(self, device: torch.device) -> Self:
        """Move all tensors, in place."""

    def requires_grad_(self, requires_grad: bool) -> Self:
        """Freeze all tensors, or let them learn."""


def _build_nothing(checkpoint: Checkpoint) -> Network:
    message = f"{checkpoint.path}: a checkpoint that this version recognises, but cannot run."
    raise ModelError(message)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A kind of network, as checkpoints hold it.

    Parameters
    ----------
    id : str
        As `ModelSpec.architecture`, cards and banks name it.
    title : str
        What people read.
    fits : callable
        Tells from the shapes of a checkpoint's tensors whether they are such a network's.
    build : callable
        Makes the network of a checkpoint, strictly, in fp32. Without it, files are recognised, but
        cannot be used.
    family : str
        Preprocessing of its checkpoints where nothing else is known.
    original : str or None
        Id of the known model whose decoder others of this architecture were tuned from.
    in_sam : bool
        Whether the SAM library has it under the same id, and takes its checkpoints.
    """

    id: str
    title: str
    fits: Callable[[Shapes], bool]
    build: Callable[[Checkpoint], Network] = _build_nothing
    family: str = "sam"
    original: str | None = None
    in_sam: bool = False

    @property
    def runs(self) -> bool:
        """Whether such checkpoints can be used."""
        return self.build is not _build_nothing


@contextmanager
def watched(module: nn.Module, watch: Watch | None) -> Iterator[None]:
    """Have `watch` called before every part of a module that runs meanwhile.

    It gets the share of the parts that are done; what it raises stops the module, and comes out.
    """
    if watch is None:
        yield
        return
    parts = list(module.modules())
    done = 0

    def before(*_: object) -> None:
        nonlocal done
        watch(done / len(parts))
        done += 1

    handles = [part.register_forward_pre_hook(before) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def fill(
    network: nn.Module | Network, checkpoint: Checkpoint, parts: tuple[str, ...] = ("",)
) -> None:
    """Give a network the tensors of a checkpoint, which must be exactly the ones it needs.

    Parameters
    ----------
    network : torch.nn.Module
    checkpoint : Checkpoint
    parts : tuple of str
        How the names of those begin that it is to get.

    Raises
    ------
    ModelError
        If tensors are missing, left over, or of another shape; the message names them.
    """
    state = network.state_dict()
    expected = {name: value.shape for name, value in state.items() if name.startswith(parts)}
    counts = {name for name, value in state.items() if not value.is_floating_point()}
    found = checkpoint.tensors
    problems = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another shape": sorted(
            f"{name} {tuple(found[name].shape)}, expected {tuple(shape)}"
            for name, shape in expected.items()
            if name in found and found[name].shape != shape
        ),
        "not floating point": sorted(
            name
            for name in expected.keys() - counts
            if name in found and not found[name].is_floating_point()
        ),
    }
    if any(problems.values()):
        listed = "; ".join(_named(kind, names) for kind, names in problems.items() if names)
        message = (
            f"{checkpoint.path}: the tensors do not fit the network. {listed}. "
            "The file is incomplete or belongs to another model."
        )
        raise ModelError(message)
    tensors = {
        name: value.to(state[name].dtype if name in counts else torch.float32)
        for name, value in found.items()
    }
    network.load_state_dict(tensors, strict=False, assign=True)


def _named(kind: str, names: list[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)} {kind}: {', '.join(names[:limit])}{more}"
