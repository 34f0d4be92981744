"""The Fine-tune widget: a decoder trained on one's own labels, and used at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_samri._napari import Connections, PreviewLayers, use_model_in
from napari_samri._qt.curves_plot import CurvesPlot
from napari_samri._qt.finetune_form import FinetuneForm
from napari_samri._qt.job_progress import JobProgress, button
from napari_samri._qt.job_widget import JobWidget
from napari_samri._qt.relay import relay_steps, run_elsewhere
from napari_samri._qt.window import second_viewer
from napari_samri.errors import SamriError
from napari_samri.models import add_tuned
from napari_samri.work import (
    Background,
    FinetuneTask,
    facts_of_bank,
    facts_of_manifest,
    suggested_run,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import napari

    from napari_samri.models import ModelSpec
    from napari_samri.work import Facts, Status

_LOOK_MILLISECONDS = 300
_REST_MILLISECONDS = 1000  # of somebody who draws, before the labels are looked through


class FinetuneWidget(JobWidget):
    """Trains the mask decoder on a bank, or on an image and labels that are open.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    form: FinetuneForm

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self.form = FinetuneForm(self.settings.device, self.settings.keep_running)
        self.progress = JobProgress(
            "The rest is trained on",
            train=button("Fine-tune", "Train; goes on with a run that was cancelled"),
            estimate=button(
                "Estimate", "Measure a few steps: how long it will take, and how much memory"
            ),
            cancel=button("Cancel", "Stop within seconds; the best so far is kept"),
        )
        self.plot = CurvesPlot(self.viewer.theme)
        self.use = button("Use it now", "List the best decoder so far, and segment with it")
        self.look = button("Show masks", "The masks of a few slices, which follow the training")
        keep = self.settings.keep_running
        self.job = Background(relay_steps, (FinetuneTask.id,), keep=keep)
        self._preview: PreviewLayers | None = None
        self._of_labels = Connections()
        self._asked = 0  # only the answer about the newest source counts
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self.stack((self.models, self.form, self.progress, _row(self.use, self.look), self.plot))
        self.wire()
        self._wire_own()
        self.begin()

    def enterEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Look at the source again: labels may have been drawn, or committed, meanwhile."""
        self._soon.start(_LOOK_MILLISECONDS)
        super().enterEvent(event)

    def closeEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Let go of the labels too."""
        self._of_labels.close()
        super().closeEvent(event)

    # Intents

    def train(self) -> None:
        """Train as the form says."""
        self._attempt(self._start)

    def estimate(self) -> None:
        """Measure how long that will take."""
        self._attempt(partial(self._start, estimate=True))

    def use_it(self) -> None:
        """Make the best decoder a known model, and let the viewer segment with it."""
        best = self.job.status.made.best
        if best is not None:
            run_elsewhere(partial(add_tuned, best), self._use_tuned, self._tell)

    def show_masks(self) -> None:
        """Show what is made of a few slices: here, or if there is something else, apart."""
        preview = self.job.status.made.preview
        if preview is None:
            return
        if self._preview is None or not self._preview.shown:
            others = len(self.viewer.layers)
            viewer = second_viewer(self.viewer) if others else self.viewer
            self._preview = PreviewLayers(viewer)
        self._preview.show(preview)

    # Inside

    def _wire_own(self) -> None:
        self.progress.buttons["train"].clicked.connect(self.train)
        self.progress.buttons["estimate"].clicked.connect(self.estimate)
        self.use.clicked.connect(self.use_it)
        self.look.clicked.connect(self.show_masks)
        self.form.source_changed.connect(lambda: self._soon.start(_LOOK_MILLISECONDS))
        self.form.source_changed.connect(self._watch_labels)
        self._soon.timeout.connect(self._look_at_source)
        self.destroyed.connect(self._of_labels.close)  # without a close event
        theme = self.viewer.events.theme
        self._connections.add(theme, lambda *_: self.plot.show_theme(self.viewer.theme))

    def _watch_labels(self) -> None:
        self._of_labels.close()
        labels = self.form.rows["labels"].value
        if labels is not None:
            for name in ("paint", "data"):
                event = getattr(labels.events, name, None)  # an image is not painted on
                if event is None:
                    continue
                self._of_labels.add(event, lambda *_: self._soon.start(_REST_MILLISECONDS))

    def _start(self, *, estimate: bool = False) -> None:
        layers = self.form.source.value == "layers"
        pair = self.form.pair() if layers else None
        task = self.form.task(self.model, estimate=estimate)
        self.job.start(task, pair.tuned(task) if pair is not None else None)

    @property
    def unfinished(self) -> Path | None:
        """The folder of the run that is shown, if it can be gone on with."""
        task = self.job.run.task if self.job.run is not None else None
        if not isinstance(task, FinetuneTask) or task.estimate:
            return None
        return task.config.out if self.job.status.phase in {"stopped", "failed"} else None

    def _look_at_source(self) -> None:
        """Find out what there is to train on, off the window's thread."""
        if self.job.status.busy:
            return  # and once more when that is done
        self._asked += 1
        asked = self._asked
        try:
            out, look = self._source()
        except SamriError:  # not all is chosen yet
            self.form.show_facts(None)
            return
        self.form.suggest(out)
        if look is None:
            self.form.show_facts(None, "What there is to train on is known when it was read.")
            return
        run_elsewhere(look, partial(self._show_facts, asked), partial(self._show_no_facts, asked))

    def _source(self) -> tuple[Path, Callable[[], Facts] | None]:
        """Return where a result would go, and what looks at the source, which takes a moment."""
        if self.form.source.value == "layers":
            pair = self.form.pair(copied=False)
            return pair.run(self.unfinished), pair.facts
        path = self.form.path()
        facts = {"bank": facts_of_bank, "manifest": facts_of_manifest}.get(self.form.source.value)
        look = None if facts is None else partial(_named_facts, facts, path)
        return suggested_run(path, self.unfinished), look

    def _show_facts(self, asked: int, facts: Facts) -> None:
        if asked == self._asked and not self.job.status.busy:
            self.form.show_facts(facts)

    def _show_no_facts(self, asked: int, error: Exception) -> None:
        if not isinstance(error, SamriError):
            raise error
        if asked == self._asked:
            self.form.show_facts(None, str(error))

    def _show(self, status: Status) -> None:
        super()._show(status)
        if not status.busy:
            self._soon.start(
                _LOOK_MILLISECONDS
            )  # layers, and where the result goes, may have changed meanwhile
        preview = status.made.preview
        self.plot.show_points(status.made.points)
        self.use.setEnabled(status.made.best is not None)
        self.look.setEnabled(preview is not None)
        if preview is not None and self._preview is not None:
            self._preview.update(preview)

    def _use_tuned(self, spec: ModelSpec) -> None:
        use_model_in(self.viewer, spec.id)
        self.progress.show_note(f"In use: {spec.title}. Every list of models has it now.")

    def _show_layers(self) -> None:
        super()._show_layers()
        self._soon.start(_LOOK_MILLISECONDS)


def _named_facts(facts: Callable[[Path], Facts], path: Path) -> Facts:
    """Look at a source; in errors it goes by its name: the widget is narrow."""
    try:
        return facts(path)
    except SamriError as error:
        raise type(error)(str(error).replace(str(path), path.name)) from error


def _row(*buttons: Any) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for each in buttons:
        layout.addWidget(each)
    return row
