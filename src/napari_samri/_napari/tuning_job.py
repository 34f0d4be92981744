"""The state of the Fine-tune widget: what goes on, from a request to a decoder in use. No Qt."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from napari_samri._napari.background import Background, following
from napari_samri._napari.embed_request import LayerPair
from napari_samri._napari.embed_run import Status
from napari_samri._napari.tune_request import facts_of, ready_layers
from napari_samri._napari.tune_run import (
    TuneStatus,
    TuningRun,
    find_tunings,
    start_tuning,
    tuning_to_show,
)
from napari_samri.atomic import make_folder
from napari_samri.errors import Cancelled
from napari_samri.jobs import new_job_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_samri._napari.embed_run import Run
    from napari_samri._napari.tune_request import TuneRequest
    from napari_samri.jobs import Cancel
    from napari_samri.training import Preview


class TuningJob(Background):
    """At most one run that trains, or estimates."""

    busy_text = "something is being trained already; wait for it, or cancel it."
    stopping_text = "Stopping; the best so far is kept"

    @property
    def best(self) -> Path | None:
        """The best decoder so far."""
        return self.status.best if isinstance(self.status, TuneStatus) else None

    @property
    def preview(self) -> Preview | None:
        """What is made of a few slices."""
        return self.status.preview if isinstance(self.status, TuneStatus) else None

    @property
    def unfinished(self) -> Path | None:
        """The folder of the run that is shown, if it can be gone on with."""
        if isinstance(self.run, TuningRun) and not self.run.only_estimates:
            return self.run.out if self.status.phase in {"stopped", "failed"} else None
        return None

    def steps_of(self, request: TuneRequest, cancel: Cancel) -> Iterator[Run | Status | None]:
        """Prepare, start and follow a run."""
        return tuning_steps(request, cancel)

    def find_runs(self) -> Sequence[TuningRun]:
        """Return all runs that train."""
        return find_tunings()

    def run_to_show(self) -> TuningRun | None:
        """Return the run that somebody wants to hear of."""
        return tuning_to_show()


def tuning_steps(request: TuneRequest, cancel: Cancel) -> Iterator[Run | Status | None]:
    """Prepare, start and follow a run; yields it as soon as it was started.

    Raises
    ------
    Cancelled
        If `cancel` says so before it was started.
    SamriError
        If what it needs cannot be read or written.
    """
    facts_of(request.source)  # which says what is wrong with it sooner than a process does
    if isinstance(request.source, LayerPair):
        run = yield from _started_from_layers(request, request.source, cancel)
    else:
        run = start_tuning(request)
    yield from following(run, cancel)


def _started_from_layers(request: TuneRequest, pair: LayerPair, cancel: Cancel) -> Any:
    job = new_job_folder()
    make_folder(job)
    try:
        job.chmod(0o700)  # what comes is somebody's image
        steps = ready_layers(pair, job, cancel)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                manifest, notes = end.value
                break
            yield Status(phase="preparing", text="Reading the layers")
        if cancel():
            message = "Stopped before anything was trained."
            raise Cancelled(message)
        return start_tuning(request, manifest, notes, job)
    except BaseException:
        shutil.rmtree(job, ignore_errors=True)
        raise
