"""Calls and replies as messages: all of them come out of a pipe as they went in."""

from __future__ import annotations

import io
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri.errors import DownloadError, InputError, ModelError, SamriError, StoreError
from napari_samri.geometry.intensity import Window
from napari_samri.jobs.events import Failed, Progressed, Stopped
from napari_samri.jobs.wire import Message, encode_message, read_message
from napari_samri.prompts import Box, MaskRegion, Point, Prompt
from napari_samri.segment.masks import PostProcessing
from napari_samri.segment.protocol import (
    CALLS,
    REPLIES,
    Answered,
    Call,
    CancelAll,
    Encode,
    Encoded,
    Load,
    Loaded,
    ModelChoice,
    ModelInfo,
    Predict,
    Reply,
)

if TYPE_CHECKING:
    from napari_samri.codec import Tagged

MASK = MaskRegion.from_array(np.eye(5, 7, dtype=bool))
PROMPTS = (
    Prompt(Box(0.5, 1, 2, 3.25), (Point(1, 2), Point(3, 4, False))),
    Prompt(points=(Point(0, 0),)),
    Prompt(Box(0, 0, 4, 4), mask=MASK),
    Prompt(mask=MASK),
)
PIXELS = np.arange(35, dtype=">i2").reshape(5, 7)
MADE = [
    Load(number=1, choice=ModelChoice(model="/a path/to.pth", device="cpu", family="sam")),
    Load(number=1, choice=ModelChoice()),
    Encode(number=2, pixels=PIXELS),
    Encode(number=2, pixels=PIXELS.T, view=3, window=Window(0.5, 9.0), urgent=True),
    Predict(number=3, pixels=PIXELS, prompts=PROMPTS),
    Predict(
        number=4,
        pixels=PIXELS.astype(float),
        prompts=(),
        view=7,
        window=Window(-1.0, 1.0),
        multimask=True,
        post=PostProcessing(fill_holes=True),
    ),
    CancelAll(number=5),
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
    Loaded(info=INFO),
    Progressed(done=250, total=1000, what="encoding"),
    Encoded(),
    Answered(masks=np.ones((3, 4, 5), bool), scores=np.array([0.1, 0.2, 0.3], np.float32)),
    Stopped(),
    Failed(error="ModelError", text="it broke — badly"),
]


def _through_a_pipe(kinds: Tagged[Any], item: Any) -> Any:
    read = read_message(io.BytesIO(encode_message(Message(*kinds.pack(item)))))
    assert read is not None
    return kinds.unpack(read.head, read.arrays)


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


@pytest.mark.parametrize("call", MADE, ids=lambda call: type(call).__name__)
def test_calls(call: Call) -> None:
    _assert_same(_through_a_pipe(CALLS, call), call)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_replies(event: Any) -> None:
    reply = Reply(4, event)
    _assert_same(_through_a_pipe(REPLIES, reply), reply)


def test_numbers_of_numpy_pass() -> None:
    """Scripts compute coordinates with numpy."""
    prompt = Prompt(Box(*np.array([1, 2, 3, 4], np.float32)), (Point(*np.array([1.5, 2])),))
    call = Predict(number=np.int64(1), pixels=PIXELS, prompts=(prompt,))  # type: ignore[arg-type]
    back = _through_a_pipe(CALLS, call)
    assert isinstance(back, Predict)
    assert back.prompts == (prompt,)


def test_what_failed_can_be_raised() -> None:
    for kind in (InputError, ModelError, DownloadError, StoreError):
        error = Failed(error=kind.__name__, text="why").as_error()
        assert type(error) is kind
        assert "why" in str(error)
    assert type(Failed(error="ZeroDivisionError", text="why").as_error()) is SamriError
