"""Masks of all the objects that somebody prompts on one slice."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.segment.postprocess import NO_POST_PROCESSING, PostProcessing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_samri.embeddings import Embedding
    from napari_samri.prompts import Prompt
    from napari_samri.segment.candidates import Candidates
    from napari_samri.segment.predictor import Predictor

_KEPT = 64


@dataclass(frozen=True, eq=False)
class Answer:
    """The joined masks of several objects on one slice, as one or three candidates.

    Parameters
    ----------
    masks : bool array (M, H, W)
        M is 1, or 3 if candidates were asked for.
    scores : float array (M,)
        Mean of the objects' predicted IoU.
    """

    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]


class Answerer:
    """Answers prompts with a predictor; an object asked for again is not computed again.

    On a slice with several objects, each new click then costs one call of the decoder.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._known: OrderedDict[tuple[str, Prompt, bool], Candidates] = OrderedDict()

    def __call__(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool = False,
        post: PostProcessing = NO_POST_PROCESSING,
    ) -> Answer:
        """Return the union of the objects' masks, each tidied by itself.

        Raises
        ------
        InputError
            If a prompt is empty or lies outside the slice.
        """
        found = [self._candidates(embedding, prompt, multimask) for prompt in prompts]
        masks = np.zeros((3 if multimask else 1, *embedding.slice_shape), bool)
        for candidates in found:
            for union, mask in zip(masks, candidates.masks, strict=True):
                union |= post(mask)
        return Answer(masks, np.mean([candidates.scores for candidates in found], axis=0))

    def _candidates(self, embedding: Embedding, prompt: Prompt, multimask: bool) -> Candidates:
        key = (embedding.key, prompt, multimask)
        candidates = self._known.get(key)
        if candidates is None:
            candidates = self._predict(embedding, prompt, multimask)
            self._known[key] = candidates
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return candidates

    def _predict(self, embedding: Embedding, prompt: Prompt, multimask: bool) -> Candidates:
        prompt.check(embedding.slice_shape)
        logits = None
        if prompt.mask is not None:
            logits = self.predictor.mask_to_logits(embedding, prompt.mask.array)
        return self.predictor.predict(
            embedding,
            points_xy=prompt.points_xy,
            point_labels=prompt.point_labels,
            box_xyxy=prompt.box_xyxy,
            mask_logits=logits,
            multimask=multimask,
        )
