"""The state of the Embed widget: what goes on, from a request to an opened bank. No Qt."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from napari_samri._napari.background import Background, following
from napari_samri._napari.embed_request import EmbedRequest, WarmRequest, ready_manifest
from napari_samri._napari.embed_run import Run, Status, find_runs, run_to_show, start_run
from napari_samri.atomic import make_folder
from napari_samri.errors import Cancelled, SamriError
from napari_samri.io import save_image
from napari_samri.jobs import new_job_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_samri.jobs import Cancel

IMAGE_NAME = "volume.nii"


class EmbeddingJob(Background):
    """At most one run that embeds."""

    busy_text = "something is being embedded already; wait for it, or cancel it."
    stopping_text = "Stopping after the slice that is being embedded"

    @property
    def bank(self) -> Path | None:
        """The bank that is there to be opened."""
        if self.run is None or self.run.bank is None or self.status.phase != "finished":
            return None
        return self.run.bank

    def steps_of(
        self, request: EmbedRequest | WarmRequest, cancel: Cancel
    ) -> Iterator[Run | Status | None]:
        """Prepare, start and follow a run."""
        return steps_of(request, cancel)

    def find_runs(self) -> Sequence[Run]:
        """Return all runs that embed."""
        return find_runs()

    def run_to_show(self) -> Run | None:
        """Return the run that somebody wants to hear of."""
        return run_to_show()


def steps_of(request: EmbedRequest | WarmRequest, cancel: Cancel) -> Iterator[Run | Status | None]:
    """Prepare, start and follow a run; yields it as soon as it was started.

    Raises
    ------
    Cancelled
        If `cancel` says so before it was started.
    SamriError
        If what it needs cannot be read or written.
    """
    if isinstance(request, EmbedRequest):
        run = yield from _started_embedding(request, cancel)
    else:
        run = _started_warming(request)
    yield from following(run, cancel)


def _started_embedding(request: EmbedRequest, cancel: Cancel) -> Any:
    steps = ready_manifest(request, cancel)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            manifest, problems = end.value
            break
        text = f"Reading studies: {step.done:,} of {step.total:,}"
        yield Status(phase="preparing", text=text, done=step.done, total=step.total)
    if cancel():
        message = "Stopped before anything was embedded."
        raise Cancelled(message)
    lines = request.arguments(manifest)
    names = {request.out: request.out.name}
    return start_run(request.title, lines, bank=request.out, names=names, problems=problems)


def _started_warming(request: WarmRequest) -> Run:
    if request.file is not None:
        return _warming(request, request.file)
    folder = new_job_folder()
    make_folder(folder)
    folder.chmod(0o700)  # what comes is somebody's image
    try:
        save_image(folder / IMAGE_NAME, request.image)
        return _warming(request, folder / IMAGE_NAME, folder)
    except SamriError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _warming(request: WarmRequest, file: Path, folder: Path | None = None) -> Run:
    names = {file: request.name}
    return start_run(request.title, [request.arguments(file)], names=names, folder=folder)
