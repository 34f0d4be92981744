"""An engine that does nothing by itself: a test reads its calls and answers them."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_samri.geometry import Grid, Orientation, Plane, Volume
from napari_samri.segment.protocol import (
    Answered,
    Call,
    Load,
    Loaded,
    ModelInfo,
    Predict,
    Reply,
)
from napari_samri.session.scheduler import Scheduler
from napari_samri.session.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

J = TypeVar("J")


class FakeEngine:
    """Records calls."""

    def __init__(self) -> None:
        self.events: SimpleQueue[Any] = SimpleQueue()
        self.calls: list[Call] = []
        self.closed = False

    def submit(self, call: Call) -> None:
        if not self.closed:
            self.calls.append(call)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.events.put(None)

    def of(self, kind: type[J]) -> list[J]:
        return [call for call in self.calls if isinstance(call, kind)]


def make_info(**fields: Any) -> ModelInfo:
    known: dict[str, Any] = {
        "id": "fake",
        "title": "Fake",
        "description": "",
        "device": "cpu",
        "encoder": "e" * 64,
        "needs_window": False,
        "score_is_stale": False,
    }
    return ModelInfo(**known | fields)


def make_volume(shape: tuple[int, ...] = (5, 6, 7), spacing: float = 2.0) -> Volume:
    """Return a volume of random voxels; its slices are `spacing` mm apart."""
    array = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if len(shape) == 2:
        return Volume(array, Grid(shape, np.eye(4)), Orientation(axes=(2, 0, 1)))
    affine = np.diag([spacing, 1.0, 0.5, 1.0])
    return Volume(array, Grid((*shape[-3:], *shape[:-3]), affine), Orientation())


class Bench:
    """A session on a fake engine, and what it told."""

    def __init__(
        self, volume: Volume | None = None, labels: Array | None = None, ahead: int = 0
    ) -> None:
        self.engine = FakeEngine()
        self.volume = volume if volume is not None else make_volume()
        self.scheduler = Scheduler(self.engine, self.volume, ahead)
        self.session = Session(self.volume, self.scheduler, labels)
        self.errors: list[Exception] = []
        self.previews: list[Any] = []
        self.session.failed.connect(self.errors.append)
        self.session.previewed.connect(self.previews.append)

    def receive(self, event: Any) -> None:
        self.scheduler.receive(event)

    def reply(self, call: Call, event: Any) -> None:
        self.receive(Reply(call.number, event))

    def load(self, **info: Any) -> None:
        from napari_samri.segment.protocol import ModelChoice

        self.scheduler.load(ModelChoice(model=info.get("id", "fake")))
        self.reply(self.engine.of(Load)[-1], Loaded(info=make_info(**info)))

    def look(self, axis: int = 0, index: int = 0, time: int | None = None) -> Plane:
        plane = Plane(axis, index, time)
        self.session.look_at(plane)
        return plane

    @property
    def asked(self) -> Predict:
        return self.engine.of(Predict)[-1]

    def answer(self, mask: Any = None, *, call: Predict | None = None, **fields: Any) -> None:
        """Answer the last request for a mask, or an earlier one, with what its prompts enclose."""
        call = call or self.asked
        masks = drawn_mask(call) if mask is None else np.asarray(mask, bool)
        masks = masks[None] if masks.ndim == 2 else masks
        fields.setdefault("scores", np.full(len(masks), 0.75, np.float32))
        self.reply(call, Answered(masks=masks, **fields))


def drawn_mask(call: Predict) -> Array:
    """Return what the boxes and masks of a call's prompts cover."""
    mask = np.zeros(call.pixels.shape, bool)
    for prompt in call.prompts:
        if prompt.mask is not None:
            mask |= prompt.mask.array
        elif prompt.box is not None:
            box = prompt.box
            mask[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = True
    return mask
