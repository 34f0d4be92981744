"""What a window's process and its model's process say to each other; no torch.

Jobs go to the model, events come back; each is a frozen dataclass with a JSON form. An event
carries the number of the job that it is about.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_samri.errors import DownloadError, InputError, ModelError, SamriError, StoreError
from napari_samri.geometry import Window
from napari_samri.jobs import Message
from napari_samri.prompts import Box, MaskRegion, Point, Prompt
from napari_samri.segment.postprocess import NO_POST_PROCESSING, PostProcessing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

ERRORS = {kind.__name__: kind for kind in (InputError, ModelError, DownloadError, StoreError)}


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

    job: int
    choice: ModelChoice


@dataclass(frozen=True, kw_only=True, eq=False)
class Encode:
    """Embed a slice (H, W). What is urgent interrupts what is not.

    `view` counts the slices that were looked at: urgent jobs of an earlier one are stale.
    """

    job: int
    pixels: Array
    view: int = 0
    window: Window | None = None
    urgent: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Predict:
    """Answer prompts on a slice (H, W). A later job of this kind makes this one stale."""

    job: int
    pixels: Array
    prompts: tuple[Prompt, ...]
    view: int = 0
    window: Window | None = None
    multimask: bool = False
    post: PostProcessing = NO_POST_PROCESSING


@dataclass(frozen=True, kw_only=True)
class Cancel:
    """Drop all jobs that wait, and stop the one that runs."""

    job: int


Job = Load | Encode | Predict | Cancel


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The model runs."""

    job: int
    info: ModelInfo


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a job is; `total` is 0 if nobody knows."""

    job: int
    done: float
    total: float
    what: str


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The slice's embedding is there."""

    job: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Answered:
    """Masks (M, H, W) bool and scores (M,) of a `Predict` job."""

    job: int
    masks: NDArray[np.bool_]
    scores: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """The job was cancelled, or a later one took its place."""

    job: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The job could not be done.

    Parameters
    ----------
    kind : str
        Name of the error's class; of one raised on purpose, a key of `ERRORS`.
    text : str
        For the user.
    """

    job: int
    kind: str
    text: str

    def error(self) -> SamriError:
        """Return what happened as an error."""
        return ERRORS.get(self.kind, SamriError)(self.text)


@dataclass(frozen=True, kw_only=True)
class Died:
    """The model's process ended unasked; all its jobs are lost."""

    job: int
    code: int
    text: str


Event = Loaded | Progress | Encoded | Answered | Dropped | Failed | Died

_JOBS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Load, Encode, Predict, Cancel)}
_EVENTS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Loaded, Progress, Encoded, Answered, Dropped, Failed)
}
_NESTED: dict[str, type[Any]] = {
    "choice": ModelChoice,
    "window": Window,
    "post": PostProcessing,
    "info": ModelInfo,
}
_ARRAYS = ("pixels", "masks", "scores")
_TAG = "is"  # which of the classes above a message is; no field's name


def job_to_message(job: Job) -> Message:
    """Return a job as a message."""
    if not isinstance(job, Predict):
        return _to_message(job)
    masks = {
        f"mask{number}": prompt.mask.array
        for number, prompt in enumerate(job.prompts)
        if prompt.mask is not None
    }
    plain = _to_message(replace(job, prompts=()))
    head = {**plain.head, "prompts": [_prompt_to_json(prompt) for prompt in job.prompts]}
    return Message(head, {**plain.arrays, **masks})


def message_to_job(message: Message) -> Job:
    """Return the job that a message holds."""
    fields = dict(message.head)
    if "prompts" in fields:
        fields["prompts"] = tuple(
            _prompt_from_json(entry, message.arrays.get(f"mask{number}"))
            for number, entry in enumerate(fields["prompts"])
        )
    job: Job = _from_fields(_JOBS, fields, message)
    return job


def event_to_message(event: Event) -> Message:
    """Return an event as a message."""
    return _to_message(event)


def message_to_event(message: Message) -> Event:
    """Return the event that a message holds."""
    event: Event = _from_fields(_EVENTS, dict(message.head), message)
    return event


def _to_message(item: Job | Event) -> Message:
    fields = {name: getattr(item, name) for name in item.__dataclass_fields__}
    arrays = {name: fields.pop(name) for name in _ARRAYS if name in fields}
    head = {
        name: asdict(value) if name in _NESTED and value is not None else value
        for name, value in fields.items()
    }
    return Message({_TAG: type(item).__name__, **head}, arrays)


def _from_fields(kinds: dict[str, type[Any]], fields: dict[str, Any], message: Message) -> Any:
    kind = kinds[fields.pop(_TAG)]
    for name, nested in _NESTED.items():
        if fields.get(name) is not None:
            fields[name] = nested(**fields[name])
    arrays = {name: array for name, array in message.arrays.items() if name in _ARRAYS}
    return kind(**fields, **arrays)


def _prompt_to_json(prompt: Prompt) -> dict[str, Any]:
    box = prompt.box
    return {
        "box": None if box is None else [box.x0, box.y0, box.x1, box.y1],
        "points": [[point.x, point.y, point.positive] for point in prompt.points],
    }


def _prompt_from_json(entry: dict[str, Any], mask: Array | None) -> Prompt:
    return Prompt(
        box=Box(*entry["box"]) if entry["box"] else None,
        points=tuple(Point(x, y, bool(positive)) for x, y, positive in entry["points"]),
        mask=None if mask is None else MaskRegion.from_array(mask),
    )
