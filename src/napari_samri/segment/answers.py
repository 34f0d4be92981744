"""Masks of all the objects that are prompted on one slice."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.segment.masks import NO_POST_PROCESSING, PostProcessing
from napari_samri.segment.protocol import Answered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_samri.embeddings import Embedding
    from napari_samri.prompts import Prompt
    from napari_samri.segment.masks import Candidates
    from napari_samri.segment.predictor import Predictor

_KEPT_BYTES = 2**28
_ENTRY_BYTES = 2**10  # of an object without its bits, roughly


@dataclass(frozen=True, eq=False)
class _Found:
    """An object's masks, packed within the rectangle around them all: objects are small.

    Parameters
    ----------
    where : tuple of slice
        Rows and columns.
    bits : uint8 array (M, B)
    shape : tuple of int
        (M, rows, columns) within the rectangle.
    scores : float array (M,)
    """

    where: tuple[slice, slice]
    bits: NDArray[np.uint8]
    shape: tuple[int, int, int]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, candidates: Candidates) -> _Found:
        """Pack the masks of candidates."""
        where = _extent(candidates.masks, (0, 2)), _extent(candidates.masks, (0, 1))
        masks = candidates.masks[:, *where]
        bits = np.packbits(masks.reshape(len(masks), -1), axis=1)
        return cls(where, bits, masks.shape, candidates.scores)

    @property
    def nbytes(self) -> int:
        """What it takes in memory, roughly."""
        return self.bits.nbytes + _ENTRY_BYTES

    @property
    def masks(self) -> NDArray[np.bool_]:
        """The masks within the rectangle, (M, rows, columns)."""
        count = self.shape[1] * self.shape[2]
        return np.unpackbits(self.bits, axis=1, count=count).reshape(self.shape).astype(bool)


def _extent(masks: NDArray[np.bool_], across: tuple[int, int]) -> slice:
    found = np.flatnonzero(np.any(masks, axis=across))
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


class Answerer:
    """Answers prompts with a predictor; an object asked for again is not computed again.

    On a slice with several objects, each new click then costs one call of the decoder, and
    an object that is known costs the bits of the rectangle around it.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._known: OrderedDict[tuple[str, Prompt, bool], _Found] = OrderedDict()
        self._bytes = 0

    def __call__(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        *,
        multimask: bool = False,
        post: PostProcessing = NO_POST_PROCESSING,
    ) -> Answered:
        """Return the union of the objects' masks, each tidied by itself, as M candidates.

        M is 1, or 3 with `multimask`; the scores are the mean of the objects' predicted IoU.

        Raises
        ------
        InputError
            If a prompt is empty or lies outside the slice.
        """
        masks = np.zeros((3 if multimask else 1, *embedding.slice_shape), bool)
        scores = []
        for prompt in prompts:
            found = self._find(embedding, prompt, multimask)
            scores.append(found.scores)
            for union, mask in zip(masks, found.masks, strict=True):
                # What lies around an object changes neither its parts nor its holes.
                union[found.where] |= post(mask) if mask.size else mask
        return Answered(masks=masks, scores=np.mean(scores, axis=0))

    def _find(self, embedding: Embedding, prompt: Prompt, multimask: bool) -> _Found:
        key = (embedding.key, prompt, multimask)
        found = self._known.get(key)
        if found is None:
            found = _Found.of(self._predict(embedding, prompt, multimask))
            self._known[key] = found
            self._bytes += found.nbytes
            while self._bytes > _KEPT_BYTES and len(self._known) > 1:
                self._bytes -= self._known.popitem(last=False)[1].nbytes
        self._known.move_to_end(key)
        return found

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
