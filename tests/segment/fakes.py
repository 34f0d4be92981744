"""A predictor that takes as long as a test wants, and tells what it was asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event as Flag
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.embeddings import Embedding
from napari_samri.errors import InputError
from napari_samri.segment.masks import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable


def slice_of(number: int, shape: tuple[int, int] = (6, 8)) -> np.ndarray:
    """Return a slice that the fake knows by its number; a constant one is refused."""
    return np.full(shape, number, np.int16)


@dataclass
class FakePredictor:
    """Embeds slice n once `let(n)` was called; masks are the prompts' boxes."""

    name: str = "fake"
    needs_window: bool = False
    open: bool = True  # whether all slices may pass
    begun: list[int] = field(default_factory=list)
    windows: list[Any] = field(default_factory=list)
    predicted: int = 0
    encoder: str = "e" * 64
    device: str = "cpu"

    def __post_init__(self) -> None:
        self._gates: dict[int, Flag] = {}
        self._known: dict[str, Embedding] = {}
        self.spec = SimpleNamespace(
            id=self.name, title=self.name, description="", score_is_stale=False, takes_points=True
        )

    def gate(self, number: int) -> Flag:
        return self._gates.setdefault(number, Flag())

    def let(self, number: int) -> None:
        self.gate(number).set()

    def cached(self, pixels: np.ndarray, *, window: Any = None) -> Embedding | None:
        return self._known.get(self._key(pixels, window))

    def embed(
        self, pixels: np.ndarray, *, window: Any = None, checkpoint: Callable[[float], None]
    ) -> Embedding:
        key = self._key(pixels, window)
        if key not in self._known:
            number = int(pixels.flat[0])
            self.begun.append(number)
            self.windows.append(window)
            while not (self.open or self.gate(number).is_set()):
                checkpoint(0.5)
                time.sleep(0.002)
            if number == 99:
                message = "the encoder broke"
                raise RuntimeError(message)
            self._known[key] = Embedding(
                np.zeros((1, 1, 1), np.float32), pixels.shape, self.encoder, "fake", key
            )
        return self._known[key]

    def predict(self, embedding: Embedding, **prompts: Any) -> Candidates:
        self.predicted += 1
        mask = np.zeros(embedding.slice_shape, bool)
        if prompts["box_xyxy"] is not None:
            x0, y0, x1, y1 = prompts["box_xyxy"].astype(int)
            mask[y0 : y1 + 1, x0 : x1 + 1] = True
        if prompts["mask_logits"] is not None:
            mask |= prompts["mask_logits"][0] > 0
        count = 3 if prompts["multimask"] else 1
        scores = np.linspace(0.5, 0.9, count, dtype=np.float32)
        logits = np.zeros((count, 2, 2), np.float32)
        return Candidates(np.repeat(mask[None], count, axis=0), scores, logits)

    def mask_to_logits(self, _: Embedding, mask: np.ndarray) -> np.ndarray:
        return np.where(mask, 1.0, -1.0)[None]

    def _key(self, pixels: np.ndarray, window: Any) -> str:
        if pixels.flat[0] == 0:
            message = "the slice is constant"
            raise InputError(message)
        return f"{pixels.flat[0]} {pixels.shape} {window}"
