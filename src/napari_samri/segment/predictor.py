"""The predictor: slices in, embeddings and masks out, for every model alike."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_samri.embeddings import (
    Embedding,
    EmbeddingCache,
    default_cache,
    embedding_key,
    encode,
)
from napari_samri.errors import InputError, InputWarning, ModelError
from napari_samri.geometry import row, table
from napari_samri.models import (
    BEST,
    LoadedModel,
    PromptBatch,
    best_where,
    choose_candidates,
    fast_products,
    load_model,
)
from napari_samri.prompts import Box, Point
from napari_samri.segment.masks import Candidates

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from napari_samri.embeddings import Checkpoint, Features
    from napari_samri.geometry import Window
    from napari_samri.models import Choose, ModelSpec, ProgressCallback

    Array = NDArray[Any]
    Bytes = NDArray[np.uint8]
    FloatArray = NDArray[np.float32]


class Predictor:
    """Segments slices by points, boxes and masks; made by `napari_samri.load_predictor`.

    Parameters
    ----------
    model : LoadedModel
    cache : EmbeddingCache
    """

    def __init__(self, model: LoadedModel, cache: EmbeddingCache) -> None:
        self._model = model
        self.cache = cache
        # A frame makes its resampling matrices once; slices of a volume share one.
        self._frame = lru_cache(maxsize=8)(model.preprocessing.make_frame)

    @property
    def spec(self) -> ModelSpec:
        """What is known of the model."""
        return self._model.spec

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self._model.device

    @property
    def encoder(self) -> str:
        """SHA-256 of the encoder's tensors."""
        return self._model.encoder

    @property
    def needs_window(self) -> bool:
        """Whether slices of a volume should be embedded with the volume's intensity window."""
        return self._model.preprocessing.windowed

    def embed(
        self,
        slice_2d: ArrayLike,
        *,
        window: Window | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Embedding:
        """Return the embedding of a slice, from the cache if any model has made it before.

        Parameters
        ----------
        slice_2d : array (H, W)
            Grey values of any real dtype; values that are not finite count as 0.
        window : Window, optional
            Intensity window of the whole volume, for families that clip to one (MedSAM);
            without it they take it from the slice.
        checkpoint : callable, optional
            Called with the share done, 0 to 1, while the encoder runs; what it raises, such as
            `Cancelled`, stops the encoder.

        Raises
        ------
        InputError
            If the slice is not two-dimensional, real and varied.
        """
        image, key = self._prepared(slice_2d, window)
        features = self.cache.get_or_compute(
            key,
            lambda: encode(
                self._model.network,
                self._model.preprocessing,
                image,
                self.device,
                checkpoint,
            ),
        )
        return self._embedding(features, image, key)

    def cached(self, slice_2d: ArrayLike, *, window: Window | None = None) -> Embedding | None:
        """Return the embedding of a slice if it is in the cache, without computing it.

        Parameters and errors are those of `embed`.
        """
        image, key = self._prepared(slice_2d, window)
        features = self.cache.get(key)
        return None if features is None else self._embedding(features, image, key)

    def _prepared(self, slice_2d: ArrayLike, window: Window | None) -> tuple[Bytes, str]:
        """Return a slice as the encoder's family takes it, and the key of its embedding."""
        image = self._model.preprocessing.to_uint8(check_slice(slice_2d), window)
        return image, embedding_key(self.encoder, self._model.preprocessing.identity, image)

    def _embedding(self, features: Features, image: Bytes, key: str) -> Embedding:
        return Embedding(
            features=features,
            slice_shape=(image.shape[0], image.shape[1]),
            encoder=self.encoder,
            preprocessing=self._model.preprocessing.identity,
            key=key,
        )

    @fast_products()
    @torch.inference_mode()
    def predict(
        self,
        embedding: Embedding,
        *,
        points_xy: ArrayLike | None = None,
        point_labels: ArrayLike | None = None,
        box_xyxy: ArrayLike | None = None,
        mask_logits: ArrayLike | None = None,
        multimask: bool = False,
    ) -> Candidates:
        """Return the mask, or three candidates, that prompts mean on an embedded slice.

        Coordinates are pixels (x, y) of the slice, as in the SAM library.

        Parameters
        ----------
        embedding : Embedding
            From this predictor, or from one with the same encoder and preprocessing.
        points_xy : array (N, 2), optional
        point_labels : array (N,), optional
            1 for points on the object, 0 for points off it; all 1 if left out.
        box_xyxy : array (4,), optional
            x0, y0, x1, y1.
        mask_logits : array (1, L, L) or (L, L), optional
            `Candidates.logits` of an earlier answer.
        multimask : bool
            Three candidates instead of one mask; useful for a lone point. Models that were
            trained so (`ModelSpec.lone_point`) give the best of three for one anyway.

        Raises
        ------
        InputError
            If there is no prompt, or one that lies outside the slice or has no size.
        ModelError
            If the embedding is another encoder's.
        """
        self._check_embedding(embedding)
        if points_xy is not None:
            self._warn_of_points()
        frame = self._frame(embedding.slice_shape)
        points = _points(points_xy, point_labels, embedding.slice_shape)
        box = _box(box_xyxy, embedding.slice_shape)
        mask = self._mask(mask_logits)
        _check_any(points, box, mask)
        prompt = PromptBatch.of_one(
            self.device,
            points_input=None if points is None else frame.points_to_input(points[0]),
            labels=None if points is None else points[1],
            box_input=None if box is None else frame.box_to_input(box),
            mask=mask,
        )
        # Copies: arrays of the cache are read-only, which torch tensors cannot be.
        features = {
            name: torch.tensor(np.asarray(value, np.float32), device=self.device)[None]
            for name, value in embedding.features.items()
        }
        logits, scores = self._model.network.decode(
            features, prompt, choose=self._choice(prompt, multimask=multimask)
        )
        low, found = logits[0].float().cpu().numpy(), scores[0].float().cpu().numpy()
        return Candidates(masks=frame.logits_to_masks(low), scores=found, logits=low)

    def _choice(self, prompt: PromptBatch, *, multimask: bool) -> Choose:
        """Return what chooses the masks that a prompt is answered by."""
        if multimask:
            return choose_candidates
        return best_where(prompt.is_lone_point & (self.spec.lone_point == BEST))

    def _warn_of_points(self) -> None:
        """Tell whoever called `predict` that this model was trained without points."""
        if not self.spec.takes_points:
            message = (
                f"{self.spec.title} was trained with boxes only: what it makes of points has no "
                "meaning. Draw a box, or choose a model that was trained with points."
            )
            warnings.warn(message, InputWarning, stacklevel=3)

    def mask_to_logits(self, embedding: Embedding, mask: Array) -> FloatArray:
        """Turn a mask (H, W) of the slice into `mask_logits` (1, L, L), to refine it.

        Raises
        ------
        InputError
            If the mask is not of the slice's shape.
        """
        mask = np.asarray(mask)
        if mask.shape != embedding.slice_shape:
            message = f"the mask's shape is {mask.shape}; expected {embedding.slice_shape}."
            raise InputError(message)
        return self._frame(embedding.slice_shape).mask_to_logits(mask > 0)

    def _check_embedding(self, embedding: Embedding) -> None:
        mine = (self.encoder, self._model.preprocessing.identity)
        if (embedding.encoder, embedding.preprocessing) != mine:
            message = (
                f"the embedding was made by another encoder ({embedding.encoder[:8]}, "
                f"{embedding.preprocessing}) than that of {self.spec.title} "
                f"({self.encoder[:8]}, {mine[1]}); embed the slice with this predictor."
            )
            raise ModelError(message)

    def _mask(self, mask_logits: ArrayLike | None) -> FloatArray | None:
        """Return checked logits (L, L), or None."""
        if mask_logits is None:
            return None
        side = self._model.network.layout.low_res_size
        array = np.asarray(mask_logits, np.float32)
        if array.shape not in {(side, side), (1, side, side)} or not np.isfinite(array).all():
            message = (
                f"the mask prompt's shape is {array.shape}; expected finite logits of shape "
                f"(1, {side}, {side}), as in Candidates.logits."
            )
            raise InputError(message)
        return array.reshape(side, side)


def load_predictor(
    model: str | Path = "starter",
    device: str = "auto",
    cache: EmbeddingCache | Path | str | None = None,
    *,
    family: str | None = None,
    base: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> Predictor:
    """Load a model and return its predictor.

    Parameters
    ----------
    model : str or path
        Id of a known model (``napari-samri models`` lists them), or a checkpoint file.
    device : str
        ``auto`` (cuda, then mps, then cpu), or a device's name.
    cache : EmbeddingCache or path, optional
        Where embeddings are kept; by default the cache that all models of this user share.
        ``EmbeddingCache()`` keeps them in memory only.
    family : str, optional
        Preprocessing of a checkpoint given by path: ``sam``, ``medsam`` or ``starter``.
    base : str or path, optional
        The model that a decoder was tuned from, where it is not found by itself.
    progress : callable, optional
        Called with (bytes done, bytes in all) during a download.

    Raises
    ------
    InputError, ModelError, DownloadError
        If the model is unknown, cannot be had, or is not what it should be.
    """
    loaded = load_model(model, device, family=family, base=base, progress=progress)
    if cache is None:
        cache = default_cache()
    elif not isinstance(cache, EmbeddingCache):
        cache = EmbeddingCache(cache)
    return Predictor(loaded, cache)


def check_slice(slice_2d: ArrayLike) -> Array:
    """Return a slice as an array, or raise InputError if it is not 2D, real and not empty."""
    array = np.asarray(slice_2d)
    if array.ndim != 2 or 0 in array.shape:
        message = f"the slice's shape is {array.shape}; expected two axes (rows, columns)."
        raise InputError(message)
    if array.dtype.kind not in "buif":
        message = f"the slice's dtype is {array.dtype}; expected real grey values."
        raise InputError(message)
    return array.astype(np.uint8) if array.dtype == bool else array


def _check_any(*prompts: object) -> None:
    if all(prompt is None for prompt in prompts):
        message = "the prompt is empty: expected points_xy, box_xyxy or mask_logits."
        raise InputError(message)


def _points(
    points_xy: ArrayLike | None, labels: ArrayLike | None, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray] | None:
    """Return checked points (N, 2) and labels (N,), or None."""
    if points_xy is None:
        if labels is not None:
            message = "point_labels were given without points_xy."
            raise InputError(message)
        return None
    points = table(points_xy, ("x", "y"), "points_xy").astype(np.float32)
    if not len(points):
        message = f"points_xy have the shape {points.shape}; expected (N, 2) with N > 0."
        raise InputError(message)
    signs = np.ones(len(points), np.float32) if labels is None else np.asarray(labels)
    if signs.shape != (len(points),) or not np.isin(signs, (0, 1)).all():
        message = f"point_labels are {signs.tolist()}; expected {len(points)} values, 1 or 0."
        raise InputError(message)
    for x, y in points:
        Point(float(x), float(y)).check(shape)
    return points, signs.astype(np.float32)


def _box(box_xyxy: ArrayLike | None, shape: tuple[int, int]) -> FloatArray | None:
    if box_xyxy is None:
        return None
    box = row(box_xyxy, ("x0", "y0", "x1", "y1"), "box_xyxy").astype(np.float32)
    Box(*(float(v) for v in box)).check(shape)
    return box
