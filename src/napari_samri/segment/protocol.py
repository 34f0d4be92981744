"""What a session and its model's process say to each other; no torch.

A session makes calls, numbered upwards; replies come back, any number to a call, each an event.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from napari_samri.codec import Axes, Tagged
from napari_samri.geometry import Window
from napari_samri.jobs import Failed, Progressed, Stopped
from napari_samri.prompts import Prompt
from napari_samri.segment.masks import NO_POST_PROCESSING, PostProcessing

Pixels = Annotated[NDArray[Any], Axes(2)]


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which model to run, where.

    Parameters
    ----------
    model : str
        Id of a known model, or the path of a checkpoint.
    device : str
        ``auto`` or a device's name.
    family : str or None
        Preprocessing of a checkpoint given by path; None to tell it from the file.
    memory_mb : int
        Bound on the embeddings kept in memory.
    """

    model: str = "starter"
    device: str = "auto"
    family: str | None = None
    memory_mb: int = 1024


DEFAULT_MODEL = ModelChoice()


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What is known of a model once it runs.

    Parameters
    ----------
    id, title, description, device, encoder : str
    needs_window : bool
        Whether slices are embedded with the volume's intensity window.
    score_is_stale, takes_points : bool
        As in `ModelSpec`.
    notes : str
        What was assumed when it was loaded, in sentences; empty if nothing was.
    """

    id: str
    title: str
    description: str
    device: str
    encoder: str
    needs_window: bool
    score_is_stale: bool
    takes_points: bool = True
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Load a model in place of the one that runs; if that fails, the old one stays."""

    number: int
    choice: ModelChoice


@dataclass(frozen=True, kw_only=True, eq=False)
class Encode:
    """Embed a slice (H, W). What is urgent interrupts what is not.

    `view` counts the slices that were looked at: urgent calls of an earlier one are stale.
    """

    number: int
    pixels: Pixels
    view: int = 0
    window: Window | None = None
    urgent: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Predict:
    """Answer prompts on a slice (H, W). A later call of this kind makes this one stale."""

    number: int
    pixels: Pixels
    prompts: tuple[Prompt, ...]
    view: int = 0
    window: Window | None = None
    multimask: bool = False
    post: PostProcessing = NO_POST_PROCESSING


@dataclass(frozen=True, kw_only=True)
class CancelAll:
    """Drop all calls that wait, and stop the one that runs."""

    number: int


Call = Load | Encode | Predict | CancelAll


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The model runs."""

    info: ModelInfo


@dataclass(frozen=True)
class Encoded:
    """The slice's embedding is there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answered:
    """Masks (M, H, W) bool and scores (M,) of a `Predict`."""

    masks: Annotated[NDArray[np.bool_], Axes(3)]
    scores: Annotated[NDArray[np.float32], Axes(1)]


@dataclass(frozen=True)
class Reply:
    """What happened to the call with a number.

    `Stopped` means that it was cancelled, or that a later one took its place.
    """

    number: int
    event: Loaded | Encoded | Answered | Progressed | Stopped | Failed


CALLS: Tagged[Call] = Tagged.of(Load, Encode, Predict, CancelAll)
REPLIES: Tagged[Reply] = Tagged.of(Reply)
