"""Widgets come and go: nothing of them stays behind, and they do not disturb each other."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.gui,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

OURS = ("samri-",)


def rest(seconds: float = 0.1) -> None:
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.002)


def until(holds: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end, f"waited in vain for {what}"
        rest(0.02)


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(OURS)]


def callbacks(viewer: Any) -> dict[str, int]:
    """Return how many callbacks hang on what sessions listen to."""
    emitters = {
        "inserted": viewer.layers.events.inserted,
        "removed": viewer.layers.events.removed,
        "step": viewer.dims.events.current_step,
        "order": viewer.dims.events.order,
        "ndisplay": viewer.dims.events.ndisplay,
        "image": viewer.layers["image"].events.data,
    }
    return {name: len(emitter.callbacks) for name, emitter in emitters.items()}


def new_viewer() -> Any:
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(900, 700)  # drawn without a graphics card, pixels are what costs
    voxels = np.random.default_rng(0).normal(100, 5, (8, 64, 64)).astype(np.float32)
    voxels[:, 16:48, 16:48] += 100
    viewer.add_image(voxels, name="image", units=("mm",) * 3)
    return viewer


def draws_for_itself(viewer: Any) -> list[bool]:
    """Return a list of whether the context of a viewer was current, each time a layer went."""
    from qtpy.QtGui import QOpenGLContext
    from qtpy.QtWidgets import QWidget

    window = viewer.window._qt_window
    [canvas] = [each for each in window.findChildren(QWidget) if hasattr(each, "makeCurrent")]
    found: list[bool] = []

    def look(*_: Any) -> None:
        found.append(QOpenGLContext.currentContext() == canvas.context())

    viewer.layers.events.removed.connect(look)
    return found


def open_widget(viewer: Any) -> tuple[Any, Any]:
    from napari_samri._qt.segment_widget import SegmentWidget

    widget = SegmentWidget(viewer)
    dock = viewer.window.add_dock_widget(widget, name="Segment")
    return widget, dock


def predict(pairs: list[tuple[Any, Any]]) -> None:
    """Let two sessions answer a box each, on slices of their own."""
    for widget, _dock in pairs:
        until(lambda w=widget: w.annotation.scheduler.info, "the model")
    pids = [widget.annotation.engine.pid for widget, _ in pairs]
    assert len(set(pids)) == 2, "each session has a model's process of its own"
    for (widget, _dock), step in zip(pairs, (2, 5), strict=True):
        widget.viewer.dims.set_current_step(0, step)
        widget.annotation.add_box(14, 14, 50, 50)
    for widget, _dock in pairs:
        until(lambda w=widget: w.annotation.session.preview, "the mask")
    planes = [widget.annotation.session.preview.request.plane.index for widget, _ in pairs]
    assert planes == [2, 5], "sessions do not disturb each other"


def test_nothing_leaks() -> None:
    """Two viewers, two sessions, each widget closed; and again, while its model loads."""
    threads = our_threads()
    viewers = [new_viewer(), new_viewer()]
    rest(0.5)
    current = [draws_for_itself(viewer) for viewer in viewers]
    before = [callbacks(viewer) for viewer in viewers]
    try:
        for predicts in (True, False):
            pairs = [open_widget(viewer) for viewer in viewers]
            engines = [widget.annotation.engine for widget, _ in pairs]
            if predicts:
                predict(pairs)
            for widget, _dock in pairs:
                widget.annotation.session.clear()
                widget.viewer.window.remove_dock_widget(widget)
                widget.close()
            del widget, _dock, pairs
            rest(1)
            gc.collect()
            until(lambda e=engines: not any(engine.pid for engine in e), "the processes to end")
            names = [[layer.name for layer in viewer.layers] for viewer in viewers]
            assert all(set(n) <= {"image", "image labels", "image labels [1]"} for n in names), (
                names
            )
            assert [callbacks(viewer) for viewer in viewers] == before
        assert all(current), "layers went from both"
        assert all(each for both in current for each in both), "else it harms the other viewer"
        until(lambda: our_threads() == threads, f"the threads {our_threads()} to end")
    finally:
        for viewer in viewers:
            viewer.close()
        rest()


def test_two_widgets_share_the_session_on_an_image() -> None:
    viewer = new_viewer()
    try:
        first, _ = open_widget(viewer)
        second, _ = open_widget(viewer)
        assert first.annotation is second.annotation
        annotation = first.annotation
        first.close()
        rest()
        assert not annotation.closed
        second.close()
        rest()
        assert annotation.closed
    finally:
        viewer.close()
        rest()


def test_console_and_widget_share_the_session() -> None:
    from napari_samri import start_session

    threads = our_threads()
    viewer = new_viewer()
    try:
        annotation = start_session(viewer, viewer.layers["image"])
        widget, _ = open_widget(viewer)
        assert widget.annotation is annotation
        viewer.dims.set_current_step(0, 3)
        annotation.add_box(14, 14, 50, 50)
        annotation.wait()
        assert annotation.session.preview.mask.any()
        widget.close()
        rest()
        assert not annotation.closed
        annotation.close()
        until(lambda: our_threads() == threads, f"the threads {our_threads()} to end")
    finally:
        viewer.close()
        rest()


def test_bad_images_are_refused_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    import napari

    viewer = napari.Viewer(show=True)
    try:
        widget, _ = open_widget(viewer)
        widget.session.prompts.actions_["commit"].click()
        assert "Choose or open an image first" in capsys.readouterr().out
        colour = viewer.add_image(np.zeros((8, 9, 3), np.uint8), rgb=True, name="photo")
        rest()
        assert widget.annotation is None
        widget.current.use_image(colour)
        assert "is RGB; expected one grey value per voxel" in capsys.readouterr().out
        assert [layer.name for layer in viewer.layers] == ["photo"]
    finally:
        viewer.close()
        rest()


def test_the_x_of_the_dock_ends_the_session_and_the_next_widget_goes_on() -> None:
    threads = our_threads()
    viewer = new_viewer()
    before = callbacks(viewer)
    try:
        first, dock = open_widget(viewer)
        annotation = first.annotation
        dock.close()  # napari's other button: it hides the panel, for a while
        rest()
        assert first.annotation is annotation
        dock.show()
        annotation.session.paint((np.array([1]), np.array([2]), np.array([3])), np.array([1]))
        dock.destroyOnClose()
        until(lambda: annotation.closed, "the session to end")
        assert first.annotation is None
        assert [layer.name for layer in viewer.layers] == ["image", "image labels"]
        assert viewer.layers["image labels"].data[1, 2, 3] == 1
        assert callbacks(viewer) == before

        other = viewer.add_labels(np.zeros((8, 64, 64), np.uint16), name="other")
        second, _ = open_widget(viewer)
        status = second.session.status
        assert second.annotation.canvas.labels.name == "image labels"
        assert second.annotation.session.unsaved
        second.images.labels_chosen.emit(other)
        assert second.annotation.canvas.labels is other
        assert status.banner.isHidden(), "that work is open still"
        wrong = viewer.add_labels(np.zeros((8, 64, 63), np.uint16), name="wrong")
        second.images.labels_chosen.emit(wrong)
        assert second.annotation.canvas.labels is other
        assert not status.message.isHidden()
        second.close()
        until(lambda: our_threads() == threads, f"the threads {our_threads()} to end")
    finally:
        viewer.close()
        rest()


def test_labels_chosen_in_one_widget_are_those_of_the_other_too() -> None:
    viewer = new_viewer()
    try:
        first, _ = open_widget(viewer)
        second, _ = open_widget(viewer)
        other = viewer.add_labels(np.zeros((8, 64, 64), np.uint16), name="other")
        first.images.labels_chosen.emit(other)
        until(lambda: second.annotation is first.annotation, "the other widget")
        assert first.annotation.canvas.labels is other
        assert [layer.name for layer in viewer.layers].count("image boxes") == 1
        first.close()
        second.close()
    finally:
        viewer.close()
        rest()


def test_an_image_that_comes_while_another_one_is_segmented_does_not_cover_it() -> None:
    viewer = new_viewer()
    try:
        widget, _ = open_widget(viewer)
        image = viewer.layers["image"]
        newcomer = viewer.add_image(np.zeros((4, 30, 30), np.float32), name="newcomer")
        until(lambda: not newcomer.visible, "the newcomer to be hidden")
        assert widget.annotation.image is image
        widget.images.chosen.emit(newcomer)
        assert newcomer.visible
        assert not image.visible
        assert widget.annotation.session.plane.index == 2
        widget.close()
        rest()
        assert image.visible
    finally:
        viewer.close()
        rest()


def in_a_loop(do: Callable[[], Any]) -> Any:
    """Return what a function returns that is called as by a click, while an event loop runs."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, found = QEventLoop(), []

    def run() -> None:
        try:
            found.append(do())
        finally:
            loop.quit()

    QTimer.singleShot(0, run)
    loop.exec()
    return found[0]


def test_unsaved_labels_are_asked_for_before_the_window_closes(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from qtpy.QtCore import QObject
    from qtpy.QtGui import QCloseEvent
    from qtpy.QtWidgets import QFileDialog, QMessageBox

    asked: list[str] = []
    answers: list[Any] = []

    def question(*arguments: Any) -> Any:
        asked.append(arguments[2])
        return answers.pop(0)

    monkeypatch.setattr(QMessageBox, "question", question)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: ("/nowhere/a.nii.gz", ""))
    viewer = new_viewer()
    window = viewer.window._qt_window  # as napari's own menu closes it
    buttons = QMessageBox.StandardButton
    try:
        widget, dock = open_widget(viewer)
        rest()
        annotation = widget.annotation
        annotation.session.paint((np.array([1]), np.array([2]), np.array([3])), np.array([1]))
        guard = window.findChild(QObject, "samri guard")
        assert not guard.eventFilter(window, QCloseEvent())
        assert asked == [], "a script that closes it would wait for an answer for ever"
        for answer in (buttons.Cancel, buttons.Save):  # its grid is not known: it cannot be saved
            answers.append(answer)
            assert not in_a_loop(window.close)
            assert window.isVisible()
            assert not annotation.closed
        dock.destroyOnClose()  # the labels are in no file all the same
        until(lambda: annotation.closed, "the session to end")
        answers.append(buttons.Cancel)
        assert not in_a_loop(window.close)
        answers.append(buttons.Discard)
        assert in_a_loop(window.close)
        assert len(asked) == 4
        assert all("'image labels'" in text for text in asked)
        assert annotation.journal.path.exists()
        assert "Traceback" not in capfd.readouterr().err
    finally:
        viewer.close()
        rest()


def test_a_mask_stored_as_numbers_with_a_point_is_no_image_by_itself() -> None:
    import napari

    viewer = napari.Viewer(show=True)
    mask = np.zeros((8, 64, 64), np.float32)
    mask[2:6, 20:40, 20:40] = 2
    try:
        layer = viewer.add_image(mask, name="mask")
        widget, _ = open_widget(viewer)
        assert widget.annotation is None
        widget.images.chosen.emit(layer)
        assert widget.annotation is None
        assert "'mask' holds only a few whole numbers" in widget.session.status.message.text()
        assert not widget.images.insist.isHidden()
        grey = np.random.default_rng(0).normal(100, 5, mask.shape).astype(np.float32)
        viewer.add_image(grey, name="grey")
        until(lambda: widget.annotation, "a session on the image")
        assert widget.annotation.image.name == "grey"
        widget.images.labels_chosen.emit(layer)
        assert widget.annotation.canvas.labels.name == "mask"
        assert layer not in viewer.layers
        np.testing.assert_array_equal(widget.annotation.session.labels, mask)
        again = viewer.add_image(mask, name="phantom")
        widget.images.chosen.emit(again)
        assert widget.annotation.image.name == "grey"
        widget.images.insist.click()
        assert widget.annotation.image is again
        assert widget.images.insist.isHidden()
        widget.close()
    finally:
        viewer.close()
        rest()


def test_labels_elsewhere_are_refused_before_the_session_ends_and_resampled_on_request() -> None:
    viewer = new_viewer()
    try:
        widget, _ = open_widget(viewer)
        annotation, status = widget.annotation, widget.session.status
        annotation.session.paint((np.array([1]), np.array([2]), np.array([3])), np.array([1]))
        annotation.add_box(1, 2, 8, 9)
        drawn = np.zeros((8, 64, 64), np.uint16)
        drawn[3, 10:20, 30:40] = 5
        other = viewer.add_labels(drawn, name="other", translate=(0, 7, 0), units=("mm",) * 3)
        widget.images.labels_chosen.emit(other)
        assert widget.annotation is annotation
        assert not annotation.closed
        assert annotation.session.history.can_undo
        assert "'other' do not lie on the grid of 'image'" in status.message.text()
        assert widget.images.labels.currentText() == "image labels"
        assert not status.resample.isHidden()

        status.resample.click()
        made = widget.annotation.canvas.labels
        assert made.name == "other on image"
        np.testing.assert_array_equal(widget.annotation.session.labels, np.roll(drawn, 7, axis=1))
        np.testing.assert_array_equal(other.data, drawn)
        assert "'other' was resampled onto 'image'" in status.message.text()
        assert status.resample.isHidden()

        # Closed, and the image is moved: the labels of the session before stay where they were.
        widget.current.end()
        image = viewer.layers["image"]
        image.translate = (0, 0, 30)
        widget.current.use_image(image)
        begun = widget.annotation.canvas.labels
        assert begun.name not in {"image labels", "other on image"}
        assert not begun.data.any()
        assert "A new labels layer was made" in status.message.text()
        assert viewer.layers["image labels"].data[1, 2, 3] == 1
        widget.close()
    finally:
        viewer.close()
        rest()
