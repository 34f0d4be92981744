"""Fine-tuning as a person does it: labels in the viewer, a real window, a better mask."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.halves import box_of, dice, half_discs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.gui.conftest import Person

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    # Of napari and its own dependencies, which we cannot mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

EPOCHS = 12
ENDLESS = 10_000  # hours: ends when it is asked to, on any machine
HELD_OUT = 7  # is validated on, not trained on
BRUSH = 9


class Trainer:
    """Somebody with the Fine-tune widget beside the Segment widget."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.viewer = person.viewer
        self.open_widget()

    def open_widget(self) -> None:
        from napari_samri._qt.finetune_widget import FinetuneWidget

        self.widget = FinetuneWidget(self.viewer)
        self.viewer.window.add_dock_widget(self.widget, name="Fine-tune", area="right", tabify=True)
        self.widget.show()
        self.person.rest()

    @property
    def status(self) -> Any:
        return self.widget.job.status

    @property
    def form(self) -> Any:
        return self.widget.form

    def press(self, button: Any) -> None:
        self.widget.ensureWidgetVisible(button)
        self.person.rest()
        self.person.press(button)

    def type(self, row: Any, text: str) -> None:
        """Type into a line of the form, or into a box of a number."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        line = row.line_edit.native if hasattr(row, "line_edit") else row.native
        line.selectAll()
        QTest.keyClick(line, Qt.Key.Key_Backspace)
        QTest.keyClicks(line, text)
        QTest.keyClick(line, Qt.Key.Key_Return)
        if hasattr(line, "editingFinished"):
            line.editingFinished.emit()
        self.person.rest()

    def fill_in(self, out: Path, epochs: int = EPOCHS) -> None:
        self.type(self.form.out, str(out))
        self.form.rows["objective"].value = "samri-box"
        self.type(self.form.rows["epochs"], str(epochs))
        self.type(self.form.rows["learning_rate"], "1e-3")

    def until(self, holds: Any, what: str) -> None:
        self.person.until(holds, f"{what}; {self.status.phase}: {self.status.text}")

    def until_ended(self) -> None:
        self.until(lambda: not self.status.busy, "the end")

    def look(self) -> Any:
        """Show the masks of the slices that are validated on, in a viewer of their own."""
        import napari

        self.press(self.widget.look)
        masks = napari.current_viewer()
        assert masks is not self.viewer
        assert masks.layers["drawn"].data.any()
        return masks

    def curve(self, axes: int) -> list[float]:
        """Return what the plot shows: of the loss (0) or of the Dice (1)."""
        found = self.widget.plot.figure.axes
        return list(found[axes].lines[0].get_ydata()) if found else []


@pytest.fixture
def trainer(person: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trainer]:
    from napari_samri.work.run import find_runs

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    somebody = Trainer(person)
    yield somebody
    for run in find_runs("finetune"):
        run.cancel()
    import napari

    for viewer in list(napari.Viewer._instances):
        if viewer is not person.viewer:
            viewer.close()
    end = time.monotonic() + 120
    while any(run.running for run in find_runs("finetune")):
        assert time.monotonic() < end
        person.rest()


def open_scan(trainer: Trainer) -> tuple[Any, Any]:
    """Add a scan, and what somebody drew on it."""
    person = trainer.person
    image, labels = half_discs()
    layer = trainer.viewer.add_image(image, name="scan")
    drawn = trainer.viewer.add_labels(labels, name="mine")
    person.widget.current.use_image(layer)
    person.until(lambda: person.annotation and person.annotation.scheduler.info, "the model")
    trainer.form.rows["labels"].value = drawn
    person.until(lambda: trainer.widget.form.facts.text(), "a look at the labels")
    return layer, drawn


def paint(person: Person, layer: Any, truth: Any) -> None:
    """Paint an object on every slice with the mouse, in strokes of napari's brush."""
    layer.mode = "paint"
    layer.brush_size = BRUSH
    person.viewer.layers.selection.active = layer
    for number, half in enumerate(truth):
        person.viewer.dims.set_current_step(0, number)
        person.rest()
        left, top, right, bottom = box_of(half)
        for row in range(top + BRUSH // 2, bottom - BRUSH // 2 + 1, BRUSH - 3):
            columns = np.flatnonzero(half[row])
            person.drag((row, columns[0] + BRUSH // 2), (row, columns[-1] - BRUSH // 2))
        assert layer.data[number, top : bottom + 1, left : right + 1].any()
    layer.mode = "pan_zoom"


def segment(person: Person, truth: Any) -> Any:
    """Return the mask that the Segment widget gives for the box of an object."""
    person.viewer.dims.set_current_step(0, HELD_OUT)
    person.rest()
    person.session.clear()
    person.annotation.add_box(*box_of(truth))
    person.until_answered()
    return person.session.preview.mask.copy()


def test_labels_drawn_in_the_viewer_make_a_better_model(trainer: Trainer, tmp_path: Path) -> None:
    person, widget = trainer.person, trainer.widget
    _, drawn = open_scan(trainer)
    meant = drawn.data > 0
    drawn.data = np.zeros_like(drawn.data)
    paint(person, drawn, meant)
    assert dice(drawn.data, meant) > 0.85
    truth = drawn.data[HELD_OUT] > 0
    before = dice(segment(person, truth), truth)
    trainer.until(lambda: "10 masks of 1 patient" in trainer.form.facts.text(), "a look at them")
    assert trainer.form.small.value, "few masks"
    assert not widget.use.isEnabled()
    trainer.fill_in(tmp_path / "halves")
    trainer.press(widget.progress.buttons["train"])
    assert not widget.progress.buttons["train"].isEnabled()
    trainer.until(lambda: len(trainer.curve(1)) > 2, "the curve")
    first = trainer.curve(1)
    assert widget.plot.isVisible()
    masks = trainer.look()  # the run may have ended by now, or not
    trainer.until_ended()
    assert trainer.status.phase == "finished", trainer.status.text
    trainer.until(lambda: masks.layers[1].name == f"predicted, epoch {EPOCHS}", "the last masks")
    assert trainer.curve(1)[: len(first)] == first
    assert len(trainer.curve(1)) == EPOCHS + 1
    assert trainer.curve(0)[-1] < trainer.curve(0)[0]
    assert max(trainer.curve(1)) > first[0]

    trainer.press(widget.use)
    person.until(lambda: "tuned" in person.annotation.scheduler.info.title, "the tuned model")
    person.until_answered()
    assert person.widget.models.models.currentData() == "tuned/starter-tuned-halves"
    after = dice(segment(person, truth), truth)
    assert after > before + 0.05, (before, after)
    assert after > 0.9

    # The other window is closed, and this one goes on: it draws with what is its own.
    masks.close()
    for number in range(len(drawn.data)):
        person.viewer.dims.set_current_step(0, number)
        person.rest()
    pixels = np.asarray(person.viewer.screenshot(canvas_only=True, flash=False))[..., :3]
    assert pixels.std() > 5


def test_a_run_goes_on_without_the_widget_and_stops_when_asked(
    trainer: Trainer, tmp_path: Path
) -> None:
    open_scan(trainer)
    trainer.fill_in(tmp_path / "run", epochs=ENDLESS)
    trainer.type(trainer.form.rows["patience"], "0")
    trainer.press(trainer.widget.progress.buttons["train"])
    trainer.until(lambda: trainer.widget.use.isEnabled(), "a first decoder")
    # Masks follow the run, while two relays run, which on two cores fill Qt's pool.
    masks = trainer.look()
    shown = masks.layers[1].name
    trainer.until(lambda: masks.layers[1].name != shown, "masks of a later epoch")
    masks.close()
    run = trainer.widget.job.run
    trainer.viewer.window.remove_dock_widget(trainer.widget)
    trainer.widget.close()
    trainer.person.rest()
    assert run.running
    trainer.open_widget()
    trainer.until(lambda: len(trainer.curve(1)) > 2, "the curve")
    trainer.press(trainer.widget.progress.buttons["cancel"])
    trainer.until_ended()
    assert trainer.status.phase == "stopped"
    assert trainer.widget.use.isEnabled(), "the best so far is kept"
    assert trainer.widget.unfinished == run.task.config.out
    trainer.viewer.theme = "light"
    trainer.person.rest()
    red, green, blue, _ = trainer.widget.plot.figure.get_facecolor()
    assert min(red, green, blue) > 0.7


def test_what_was_typed_stays_and_results_have_folders_of_their_own(
    trainer: Trainer, tmp_path: Path
) -> None:
    _, drawn = open_scan(trainer)
    form, widget = trainer.form, trainer.widget
    trainer.type(form.rows["epochs"], "33")
    drawn.data[2] = 0
    drawn.data = drawn.data  # somebody draws
    trainer.until(lambda: "9 masks of 1 patient" in form.facts.text(), "a look at the labels")
    assert (form.rows["epochs"].value, form.rows["batch"].value) == (33, 4)
    trainer.press(form.small.native)
    assert form.rows["epochs"].value == 200, "large data was asked for"
    trainer.press(form.small.native)
    bank = tmp_path / "knees.zarr"
    bank.mkdir()
    form.source.value = "bank"
    trainer.type(form.rows["bank"], str(bank))
    trainer.until(lambda: form.out.value == tmp_path / "knees_tuned", "a suggestion")
    (tmp_path / "knees_tuned").mkdir()
    form.source_changed.emit()
    trainer.until(lambda: form.out.value == tmp_path / "knees_tuned-2", "another one")
    assert widget.unfinished is None


def test_time_and_memory_are_told_before(trainer: Trainer, tmp_path: Path) -> None:
    open_scan(trainer)
    trainer.fill_in(tmp_path / "run", epochs=40)
    trainer.press(trainer.widget.progress.buttons["estimate"])
    trainer.until_ended()
    assert "for 40 epochs of 10 masks" in trainer.status.text
    assert "GB of memory" in trainer.widget.progress.text.text()
    assert not (tmp_path / "run").exists()


def test_refusals_are_sentences(trainer: Trainer, tmp_path: Path) -> None:
    widget, form, progress = trainer.widget, trainer.form, trainer.widget.progress
    trainer.press(progress.buttons["train"])
    assert "choose an image layer and the labels layer" in progress.message.text()
    form.source.value = "bank"
    trainer.press(progress.buttons["train"])
    assert "there is no bank yet" in progress.message.text()
    trainer.type(form.rows["bank"], str(tmp_path))
    trainer.until(lambda: "not an embedding bank" in form.facts.text(), "a look at the folder")
    trainer.type(form.out, "")
    trainer.press(progress.buttons["train"])
    assert "there is no place for the result" in progress.message.text()
    trainer.type(form.out, str(tmp_path / "run"))
    trainer.type(form.rows["learning_rate"], "fast")
    trainer.press(progress.buttons["train"])
    assert "the learning rate is 'fast'" in progress.message.text()
    trainer.type(form.rows["learning_rate"], "1e-4")
    trainer.press(progress.buttons["train"])
    trainer.until_ended()
    assert "not an embedding bank" in progress.message.text()
    assert not widget.use.isEnabled()
    # Labels without a label.
    form.source.value = "layers"
    trainer.viewer.add_image(np.random.default_rng(0).normal(size=(6, 32, 32)), name="scan")
    trainer.viewer.add_labels(np.zeros((6, 32, 32), np.uint8), name="nothing")
    trainer.person.rest()
    form.rows["labels"].value = trainer.viewer.layers["nothing"]
    trainer.until(lambda: "are empty" in form.facts.text(), "a look at the labels")
    trainer.press(progress.buttons["train"])
    trainer.until_ended()
    assert "are empty" in progress.message.text()
    assert not (tmp_path / "run").exists()


def test_the_form_asks_for_a_task_from_each_source(tmp_path: Path) -> None:
    from qtpy.QtWidgets import QApplication

    from napari_samri._qt.finetune_form import FinetuneForm
    from napari_samri.training import find_objective
    from napari_samri.work import RUN_BANK, Data, FinetuneTask

    app = QApplication.instance() or QApplication([])
    (tmp_path / "m.json").touch()
    (tmp_path / "b.zarr").mkdir()
    form = FinetuneForm("cpu", keep=False)
    rows, out = form.rows, tmp_path / "run"
    form.out.value = out
    rows["folder"].value, rows["manifest"].value = tmp_path, tmp_path / "m.json"
    rows["bank"].value = tmp_path / "b.zarr"
    rows["augment"].value, rows["family"].value, rows["objective"].value = 2, "sam", "medsam"
    rows["layout"].value, rows["epochs"].value, rows["learning_rate"].value = "samri", 9, "2e-4"
    found = {}
    for source in ("folder", "manifest", "bank"):
        form.source.value = source
        found[source] = form.task("starter")
        config = found[source].config
        assert (config.epochs, config.learning_rate, config.family) == (9, 2e-4, "sam")
        assert (config.objective, config.device) == (find_objective("medsam"), "cpu")
        assert config.split_slices
        assert rows["augment"].native.isHidden() == (source == "bank")
    folder, manifest, bank = found["folder"], found["manifest"], found["bank"]
    assert folder.data == Data(path=tmp_path, layout="samri")
    assert (folder.config.bank, folder.config.augment) == (out / RUN_BANK, 2)
    assert manifest == FinetuneTask(config=folder.config, manifest=tmp_path / "m.json")
    assert (bank.config.bank, bank.config.augment) == (tmp_path / "b.zarr", 0)
    form.deleteLater()
    app.processEvents()


def test_nothing_leaks(trainer: Trainer) -> None:
    """The widget is closed and opened again."""
    from napari_samri._napari.preferences import model_chosen

    viewer, person = trainer.viewer, trainer.person
    viewer.window.remove_dock_widget(trainer.widget)
    trainer.widget.close()
    person.rest()

    def callbacks() -> list[int]:
        layers = viewer.layers.events
        active = viewer.layers.selection.events.active
        events = (layers.inserted, layers.removed, active, viewer.events.theme)
        return [*(len(event.callbacks) for event in events), len(model_chosen)]

    before = callbacks()
    for _ in range(2):
        trainer.open_widget()
        assert callbacks() != before
        job = trainer.widget.job
        viewer.window.remove_dock_widget(trainer.widget)
        trainer.widget.close()
        person.rest()
        assert len(job.changed) == 0
        assert callbacks() == before
    gc.collect()
