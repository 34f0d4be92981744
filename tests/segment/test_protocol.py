"""Jobs and events as messages: all of them come out of a pipe as they went in."""

from __future__ import annotations

import io
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri.errors import DownloadError, InputError, ModelError, SamriError, StoreError
from napari_samri.geometry.intensity import Window
from napari_samri.jobs.wire import Message, encode_message, read_message
from napari_samri.prompts import Box, MaskRegion, Point, Prompt
from napari_samri.segment.postprocess import PostProcessing
from napari_samri.segment.protocol import (
    Answered,
    Cancel,
    Dropped,
    Encode,
    Encoded,
    Failed,
    Load,
    Loaded,
    ModelChoice,
    ModelInfo,
    Predict,
    Progress,
    event_to_message,
    job_to_message,
    message_to_event,
    message_to_job,
)

if TYPE_CHECKING:
    from napari_samri.segment import protocol

MASK = MaskRegion.from_array(np.eye(5, 7, dtype=bool))
PROMPTS = (
    Prompt(Box(0.5, 1, 2, 3.25), (Point(1, 2), Point(3, 4, False))),
    Prompt(points=(Point(0, 0),)),
    Prompt(Box(0, 0, 4, 4), mask=MASK),
    Prompt(mask=MASK),
)
PIXELS = np.arange(35, dtype=">i2").reshape(5, 7)
JOBS = [
    Load(job=1, choice=ModelChoice(model="/a path/to.pth", device="cpu", family="sam")),
    Load(job=1, choice=ModelChoice()),
    Encode(job=2, pixels=PIXELS),
    Encode(job=2, pixels=PIXELS.T, view=3, window=Window(0.5, 9), urgent=True),
    Predict(job=3, pixels=PIXELS, prompts=PROMPTS),
    Predict(
        job=4,
        pixels=PIXELS.astype(float),
        prompts=(),
        view=7,
        window=Window(-1, 1),
        multimask=True,
        post=PostProcessing(fill_holes=True),
    ),
    Cancel(job=5),
]
INFO = ModelInfo(
    id="m",
    title="M",
    description="",
    device="cpu",
    encoder="e" * 64,
    needs_window=True,
    score_is_stale=False,
    takes_points=False,
    notes="Taken for a MedSAM.",
)
EVENTS = [
    Loaded(job=1, info=INFO),
    Progress(job=2, done=0.25, total=1, what="encoding"),
    Encoded(job=3),
    Answered(job=4, masks=np.ones((3, 4, 5), bool), scores=np.array([0.1, 0.2, 0.3], np.float32)),
    Dropped(job=5),
    Failed(job=6, kind="ModelError", text="it broke — badly"),
]


def _through_a_pipe(message: Message) -> Message:
    read = read_message(io.BytesIO(encode_message(message)))
    assert read is not None
    return read


def _assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    elif is_dataclass(one) and not isinstance(one, Prompt | MaskRegion):
        for item in fields(one):
            _assert_same(getattr(one, item.name), getattr(other, item.name))
    else:
        assert one == other


@pytest.mark.parametrize("job", JOBS, ids=lambda job: type(job).__name__)
def test_jobs(job: protocol.Job) -> None:
    _assert_same(message_to_job(_through_a_pipe(job_to_message(job))), job)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events(event: protocol.Event) -> None:
    _assert_same(message_to_event(_through_a_pipe(event_to_message(event))), event)


def test_numbers_of_numpy_pass() -> None:
    """Scripts compute coordinates with numpy."""
    prompt = Prompt(Box(*np.array([1, 2, 3, 4], np.float32)), (Point(*np.array([1.5, 2])),))
    job = Predict(job=np.int64(1), pixels=PIXELS, prompts=(prompt,))
    back = message_to_job(_through_a_pipe(job_to_message(job)))
    assert isinstance(back, Predict)
    assert back.prompts == (prompt,)


def test_what_failed_can_be_raised() -> None:
    for kind in (InputError, ModelError, DownloadError, StoreError):
        error = Failed(job=1, kind=kind.__name__, text="why").error()
        assert type(error) is kind
        assert "why" in str(error)
    assert type(Failed(job=1, kind="ZeroDivisionError", text="why").error()) is SamriError
