"""The Fine-tune widget: a decoder trained on one's own labels, and used at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_samri._napari import (
    Connections,
    PreviewLayers,
    TuneRequest,
    TuneStatus,
    TuningJob,
    existing_bank,
    facts_of,
    layer_pair,
    run_folder,
    suggested_run,
    use_model_in,
)
from napari_samri._qt.curves_plot import CurvesPlot
from napari_samri._qt.finetune_form import FinetuneForm
from napari_samri._qt.finetune_progress import FinetuneProgress
from napari_samri._qt.job_progress import button
from napari_samri._qt.job_widget import JobWidget
from napari_samri._qt.relay import relay_steps, run_elsewhere
from napari_samri._qt.second_viewer import second_viewer
from napari_samri.errors import SamriError
from napari_samri.models import add_tuned

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from napari_samri._napari import Facts, LayerPair, Status
    from napari_samri._qt.finetune_form import Choices
    from napari_samri.models import ModelSpec

_LOOK_MILLISECONDS = 300
_REST_MILLISECONDS = 1000  # of somebody who draws, before the labels are looked through


class FinetuneWidget(JobWidget):
    """Trains the mask decoder on a bank, or on an image and labels that are open.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    job: TuningJob
    form: FinetuneForm
    progress: FinetuneProgress

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self.form = FinetuneForm(self.settings.device, self.settings.keep_running)
        self.progress = FinetuneProgress()
        self.plot = CurvesPlot(self.viewer.theme)
        self.use = button("Use it now", "List the best decoder so far, and segment with it")
        self.look = button("Show masks", "The masks of a few slices, which follow the training")
        self.job = TuningJob(relay_steps, keep=self.settings.keep_running)
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
        self._attempt(lambda: self.job.start(self._request()))

    def estimate(self) -> None:
        """Measure how long that will take."""
        self._attempt(lambda: self.job.start(self._request(only_estimate=True)))

    def use_it(self) -> None:
        """Make the best decoder a known model, and let the viewer segment with it."""
        if self.job.best is not None:
            run_elsewhere(partial(add_tuned, self.job.best), self._use_tuned, self._tell)

    def show_masks(self) -> None:
        """Show what is made of a few slices: here, or if there is something else, apart."""
        preview = self.job.preview
        if preview is None:
            return
        if self._preview is None or not self._preview.shown:
            others = len(self.viewer.layers)
            viewer = second_viewer(self.viewer) if others else self.viewer
            self._preview = PreviewLayers(viewer)
        self._preview.show(preview)

    # Inside

    def _wire_own(self) -> None:
        self.progress.train_clicked.connect(self.train)
        self.progress.estimate_clicked.connect(self.estimate)
        self.progress.cancel_clicked.connect(self.job.cancel)
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
        labels = self.form.labels.value
        if labels is not None:
            for name in ("paint", "data"):
                event = getattr(labels.events, name, None)  # an image is not painted on
                if event is None:
                    continue
                self._of_labels.add(event, lambda *_: self._soon.start(_REST_MILLISECONDS))

    def _request(self, *, only_estimate: bool = False) -> TuneRequest:
        choices = self.form.choices
        return TuneRequest(
            source=_source(choices),
            out=run_folder(choices.out),
            model=self.model,
            device=choices.device,
            objective=choices.objective,
            components=choices.components,
            augment=choices.augment,
            only_estimate=only_estimate,
            **choices.numbers,
        )

    def _look_at_source(self) -> None:
        """Find out what there is to train on, off the window's thread."""
        if self.job.status.busy:
            return  # and once more when that is done
        self._asked += 1
        asked = self._asked
        try:
            source = _source(self.form.choices, copied=False)
        except SamriError:  # not all is chosen yet
            self.form.show_facts(None)
            return
        self.form.suggest(suggested_run(source, self.job.unfinished))
        run_elsewhere(
            partial(facts_of, source),
            partial(self._show_facts, asked),
            partial(self._show_no_facts, asked),
        )

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
        self.progress.show_status(status)
        self.plot.show_points(status.points if isinstance(status, TuneStatus) else ())
        self.use.setEnabled(self.job.best is not None)
        self.look.setEnabled(self.job.preview is not None)
        preview = self.job.preview
        if preview is not None and self._preview is not None:
            self._preview.update(preview)

    def _use_tuned(self, spec: ModelSpec) -> None:
        use_model_in(self.viewer, spec.id)
        self.progress.show_note(f"In use: {spec.title}. Every list of models has it now.")

    def _show_layers(self) -> None:
        super()._show_layers()
        self._soon.start(_LOOK_MILLISECONDS)


def _source(choices: Choices, *, copied: bool = True) -> Path | LayerPair:
    if choices.source == "bank":
        return existing_bank(choices.bank)
    return layer_pair(choices.image, choices.labels, copied=copied)


def _row(*buttons: Any) -> QWidget:
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for each in buttons:
        layout.addWidget(each)
    return row
