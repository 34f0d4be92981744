"""An engine that does nothing by itself: a test reads its jobs and answers them."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from napari_samri.geometry import Grid, Orientation, Plane, Volume
from napari_samri.segment.protocol import (
    Answered,
    Dropped,
    Encode,
    Encoded,
    Failed,
    Load,
    Loaded,
    ModelInfo,
    Predict,
    Progress,
)
from napari_samri.session.scheduler import Scheduler
from napari_samri.session.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_samri.segment.protocol import Job

    Array = NDArray[Any]

J = TypeVar("J")


class FakeEngine:
    """Records jobs."""

    def __init__(self) -> None:
        self.events: SimpleQueue[Any] = SimpleQueue()
        self.jobs: list[Job] = []
        self.closed = False

    def submit(self, job: Job) -> None:
        if not self.closed:
            self.jobs.append(job)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.events.put(None)

    def of(self, kind: type[J]) -> list[J]:
        return [job for job in self.jobs if isinstance(job, kind)]


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

    def load(self, **info: Any) -> None:
        from napari_samri.segment.protocol import ModelChoice

        self.scheduler.load(ModelChoice(model=info.get("id", "fake")))
        self.receive(Loaded(job=self.engine.of(Load)[-1].job, info=make_info(**info)))

    def look(self, axis: int = 0, index: int = 0, time: int | None = None) -> Plane:
        plane = Plane(axis, index, time)
        self.session.look_at(plane)
        return plane

    @property
    def asked(self) -> Predict:
        return self.engine.of(Predict)[-1]

    def answer(self, mask: Any = None, *, job: Predict | None = None, **fields: Any) -> None:
        """Answer the last request for a mask, or an earlier one, with what its prompts enclose."""
        job = job or self.asked
        masks = drawn_mask(job) if mask is None else np.asarray(mask, bool)
        masks = masks[None] if masks.ndim == 2 else masks
        fields.setdefault("scores", np.full(len(masks), 0.75, np.float32))
        self.receive(Answered(job=job.job, masks=masks, **fields))

    def finish(self, job: Job, how: type = Encoded, **fields: Any) -> None:
        self.receive(how(job=job.job, **fields))


def drawn_mask(job: Predict) -> Array:
    """Return what the boxes and masks of a job's prompts cover."""
    mask = np.zeros(job.pixels.shape, bool)
    for prompt in job.prompts:
        if prompt.mask is not None:
            mask |= prompt.mask.array
        elif prompt.box is not None:
            box = prompt.box
            mask[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1] = True
    return mask


__all__ = ["Bench", "Dropped", "Encode", "Failed", "FakeEngine", "Progress", "drawn_mask"]
