"""The trainable decoder behind frozen prompt encoding, for samples of mixed prompts at once.

Box corners, points and the padding that SAM adds to lone points are all tokens of one kind, so
that samples that started with a box and samples that started with a point share a batch: both
have two tokens, and two more after each correction. Tests compare with SAM's own `PromptEncoder`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from napari_samri.models import box_prior
from napari_samri.models.sam1 import decode_batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_samri.models import LoadedModel

PADDING = -1.0
NEGATIVE, POSITIVE, CORNER_LOW, CORNER_HIGH = 0.0, 1.0, 2.0, 3.0


@dataclass(frozen=True, eq=False)
class Prompt:
    """Prompts of N samples.

    Parameters
    ----------
    points : tensor (N, T, 2)
        (x, y) in low-resolution pixels.
    labels : tensor (N, T)
        0 and 1 of points off and on the object, 2 and 3 of a box's corners, -1 of padding.
    masks : tensor (N, 1, L, L) or None
        Logits; None if no sample has any.
    has_mask : bool tensor (N,)
        Which samples have a mask prompt.
    """

    points: torch.Tensor
    labels: torch.Tensor
    masks: torch.Tensor | None
    has_mask: torch.Tensor


class PromptedDecoder(torch.nn.Module):
    """A model's decoder, and its frozen prompt encoder.

    Parameters
    ----------
    model : LoadedModel
    """

    def __init__(self, model: LoadedModel) -> None:
        super().__init__()
        self.decoder = model.network.mask_decoder
        # Not a sub-module: it is frozen, and no part of what is trained or saved.
        self._encoder = [model.network.prompt_encoder]
        self._has_prior = model.family.box_prior
        self.scale = model.network.prompt_encoder.input_image_size[0] / self.low_res_size

    @property
    def low_res_size(self) -> int:
        """Side of masks and of mask prompts in pixels."""
        return int(self._encoder[0].mask_input_size[0])

    def forward(
        self,
        embeddings: torch.Tensor,
        image: torch.Tensor,
        prompt: Prompt,
        choose: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer prompts.

        Parameters
        ----------
        embeddings : tensor (B, C, h, w)
        image : int tensor (N,)
            Which embedding each prompt is about.
        prompt : Prompt
            N prompts.
        choose : callable, optional
            Which mask (N,) of each prompt to make, by its predicted IoUs (N, 4).

        Returns
        -------
        logits : tensor (N, 4, L, L)
            Mask 0 is the single one, the others are the candidates; (N, 1, L, L) if one was
            chosen.
        scores : tensor (N, 4) or (N, 1)
            Predicted IoU.
        """
        encoder = self._encoder[0]
        with torch.no_grad():
            coordinates = self._to_input(prompt.points, prompt.labels)
            masks, has_mask, added = self._with_prior(coordinates, prompt)
            sparse = _tokens(encoder, coordinates, prompt.labels)
            dense = _dense(encoder, masks, has_mask, embeddings.shape[-2:])
            position = encoder.get_dense_pe()
        logits, scores = decode_batch(
            self.decoder, embeddings, position, sparse, dense, image, choose
        )
        return logits if added is None else logits + added, scores

    def _to_input(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Map low-resolution pixels to the input's: centres to centres, corners to corners."""
        inside = self.scale / 2 - 0.5
        shift = torch.full_like(labels, inside)
        shift = torch.where(labels == CORNER_LOW, 0.0, shift)
        shift = torch.where(labels == CORNER_HIGH, self.scale - 1, shift)
        return points * self.scale + shift[..., None]

    def _with_prior(
        self, coordinates: torch.Tensor, prompt: Prompt
    ) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor | None]:
        """Return mask prompts, who has one, and what is added to answers: as `Predictor.predict`.

        Of models with a prior, boxes without a mask prompt come with their ellipse.
        """
        labels, masks, has_mask = prompt.labels, prompt.masks, prompt.has_mask
        if not self._has_prior:
            return masks, has_mask, None
        low, high = (labels == CORNER_LOW)[..., None], (labels == CORNER_HIGH)[..., None]
        boxes = torch.cat([(coordinates * low).sum(1), (coordinates * high).sum(1)], dim=1)
        prior = box_prior(boxes, self.low_res_size)
        shown = low.any(dim=1)[:, 0] & ~has_mask
        given = torch.zeros_like(prior) if masks is None else masks
        given = torch.where(_wide(shown), prior, given)
        return given, has_mask | shown, prior * _wide(shown)


def _tokens(encoder: Any, coordinates: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    # SAM takes whole numbers for the corners of pixels, and moves to their centres itself.
    tokens = encoder.pe_layer.forward_with_coords(coordinates + 0.5, encoder.input_image_size)
    tokens = torch.where((labels == PADDING)[..., None], encoder.not_a_point_embed.weight, tokens)
    for label, embedding in enumerate(encoder.point_embeddings):
        tokens = tokens + (labels == label)[..., None] * embedding.weight
    return tokens


def _dense(
    encoder: Any, masks: torch.Tensor | None, has_mask: torch.Tensor, size: torch.Size
) -> torch.Tensor:
    none = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
    if masks is None:
        return none.expand(len(has_mask), -1, *size)
    return torch.where(_wide(has_mask), encoder.mask_downscaling(masks), none)


def _wide(flags: torch.Tensor) -> torch.Tensor:
    return flags[:, None, None, None]
