"""A run that trains: one job, watched with its curves, and found again after a restart."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri._napari.embed_run import Run, Status, Tally
from napari_samri._napari.tune_request import LAYERS
from napari_samri.jobs import Measured, Noted, Progressed, duration, is_last, list_jobs, start_job
from napari_samri.training import LOSS, PREVIEW, read_curves, read_preview

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_samri._napari.embed_run import Phase
    from napari_samri._napari.tune_request import TuneRequest
    from napari_samri.jobs import Event
    from napari_samri.training import Preview

TUNE_KEY = "fine-tuning run"
BEST = "best.safetensors"


@dataclass(frozen=True, kw_only=True)
class TuneStatus(Status):
    """How far a run is that trains.

    Parameters
    ----------
    points : tuple of mapping
        Its curves: ``epoch``, ``loss`` and Dice by split.
    preview : Preview or None
        What it makes of a few slices.
    best : pathlib.Path or None
        The best decoder so far.
    """

    points: tuple[Mapping[str, float], ...] = ()
    preview: Preview | None = None
    best: Path | None = None


class TuningRun(Run):
    """One job that trains, or estimates.

    It looks whether it shall stop between pieces of a step, which take a second or a few. What
    does not answer, such as a step on a machine out of memory, is ended: the state was saved.
    """

    grace_seconds = 20.0

    @property
    def out(self) -> Path:
        """The folder of the run."""
        return Path(str(self.jobs[0].details.get("out")))

    @property
    def epochs(self) -> int:
        """How many there are at most."""
        return int(self.jobs[0].details.get("epochs", 1))

    @property
    def only_estimates(self) -> bool:
        """Whether nothing is trained."""
        return bool(self.jobs[0].details.get("estimate"))

    @property
    def best(self) -> Path | None:
        """The best decoder so far."""
        path = self.out / BEST
        return path if not self.only_estimates and path.exists() else None

    def tally(self) -> TuneTally:
        """Return what sums up its events."""
        return TuneTally(self)

    def mark_seen(self, phase: Phase) -> None:
        """Note that somebody was told how it ended; no images are left behind."""
        super().mark_seen(phase)
        shutil.rmtree(self.jobs[0].folder / LAYERS, ignore_errors=True)


class TuneTally(Tally):
    """The events of a run, with what it has written so far."""

    def __init__(self, run: TuningRun) -> None:
        super().__init__(run)
        self._run = run
        self._dice: float | None = None
        self._tuned = False
        self._extra: dict[str, Any] = {}
        self._preview: tuple[int, Preview | None] = (0, None)

    def take(self, number: int, event: Event) -> None:
        """Add an event of its job."""
        super().take(number, event)
        if isinstance(event, Noted) and self._trains:
            self._problems[self.note] = None  # else the line of progress would hide it
        if isinstance(event, Measured):
            dice = [value for name, value in event.values.items() if name != LOSS]
            self._dice = dice[0] if dice else self._dice
            self._tuned = self._tuned or (bool(dice) and event.at > 0)
        if isinstance(event, Measured) or is_last(event):
            self._look()

    @property
    def status(self) -> TuneStatus:
        """How far the run is."""
        plain = super().status
        known = {field.name: getattr(plain, field.name) for field in fields(plain)}
        return TuneStatus(**known, **self._extra)

    def progress(self, done: int, total: int) -> str:
        """Say how far a run is that goes on."""
        at = self.at[0]
        if at is None or not total:
            return self.note
        left = at.seconds_left if isinstance(at, Progressed) else None
        ending = "" if left is None else f", {duration(left)} left"
        if at.what == "slices":
            return f"Embedding: {done:,} of {total:,} slices{ending}"
        epochs = self._run.epochs
        text = f"Epoch {min(epochs, 1 + done * epochs // total)} of {epochs}{ending}"
        if self._dice is None:
            return text
        return f"{text}; Dice {self._dice:.3f}{'' if self._tuned else ' before training'}"

    @property
    def _trains(self) -> bool:
        at = self.at[0]
        return at is not None and at.what == "masks"

    def _look(self) -> None:
        """Read what the run has written, here rather than in the window's thread."""
        run = self._run
        if run.only_estimates:
            return
        try:
            changed = (run.out / PREVIEW).stat().st_mtime_ns
        except OSError:
            changed = 0
        if changed != self._preview[0]:
            self._preview = (changed, read_preview(run.out))
        points = tuple(read_curves(run.out))
        self._extra = {"points": points, "preview": self._preview[1], "best": run.best}


def start_tuning(
    request: TuneRequest,
    manifest: Path | None = None,
    problems: Sequence[str] = (),
    folder: Path | None = None,
) -> TuningRun:
    """Start the process of a request.

    Parameters
    ----------
    request : TuneRequest
    manifest : pathlib.Path, optional
        Of layers.
    problems : sequence of str
        What was left out already.
    folder : pathlib.Path, optional
        Of the job.

    Raises
    ------
    StoreError
        If it cannot be started.
    """
    names = {str(request.out): request.out.name}
    if isinstance(request.source, Path):
        names[str(request.source)] = request.source.name
    if manifest is not None:
        names[str(manifest.parent)] = request.out.name
    details = {
        TUNE_KEY: True,
        "out": str(request.out),
        "epochs": request.epochs,
        "estimate": request.only_estimate,
        "names": names,
        "problems": list(problems),
    }
    line = request.arguments(manifest)
    return TuningRun([start_job(line, request.title, folder, details=details)])


def find_tunings() -> list[TuningRun]:
    """Return all runs that left a trace, newest first."""
    return [TuningRun([job]) for job in list_jobs() if job.details.get(TUNE_KEY)]


def tuning_to_show() -> TuningRun | None:
    """Return the run that somebody wants to hear of: one that runs, or that ended meanwhile.

    One whose end was told is shown again while its decoder can be used.
    """
    runs = [run for run in find_tunings() if not run.only_estimates]
    for run in runs:
        if run.running and run.seen is None:
            return run
    for run in runs:
        if run.seen is None or run.best is not None:
            return run
    return None
