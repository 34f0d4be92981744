"""Make the pictures of the documentation: the real viewer, widget and model on made-up data.

    python tools/with_screen.py python tools/screenshots.py [segment] [embed] [finetune]

writes `docs/images/*.png`, of the widgets that are named, or of all. Look at each of them
afterwards.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import embed_pictures
import finetune_pictures

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1400, 900)
PATIENCE_SECONDS = 600
# On this slice of the phantom: first and last pixel (x, y).
SLICE = 10
RIGHT_VENTRICLE = (66, 61, 78, 102)
LEFT_VENTRICLE = (81, 63, 93, 103)
NUCLEUS = (61, 83, 66, 91)
LESION = (45, 50, 57, 64)
RANDOM_VIT_B = """
import sys, torch
from segment_anything import build_sam_vit_b
torch.save(build_sam_vit_b().state_dict(), sys.argv[1])
"""


class Studio:
    """A viewer, and what a person does in it."""

    def __init__(self) -> None:
        import napari

        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*SIZE)

    @property
    def annotation(self) -> Any:
        return self.widget.annotation

    @property
    def session(self) -> Any:
        return self.annotation.session

    @property
    def panels(self) -> Any:
        return self.widget.session

    def open_widget(self) -> None:
        from napari_samri._qt.segment_widget import SegmentWidget

        self.widget = SegmentWidget(self.viewer)
        self.dock = self.viewer.window.add_dock_widget(self.widget, name="Segment", area="right")
        self.rest()

    def open_sample(self) -> None:
        from napari_samri._napari.reader import open_phantom

        for data, options, kind in open_phantom():
            getattr(self.viewer, f"add_{kind}")(data, **options)
        self.rest()

    def open_phantom(self) -> None:
        from napari_samri._napari.reader import open_phantom

        image, _ = open_phantom()
        data, options, _ = image
        self.viewer.add_image(data, **options)
        self.until(lambda: self.annotation is not None)

    def rest(self, seconds: float = 0.2) -> None:
        """Let the window live for a while."""
        from qtpy.QtCore import QEvent
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            # A running event loop does this by itself.
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            time.sleep(0.005)

    def until(self, holds: Callable[[], Any]) -> None:
        """Let the window live until something holds."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds():
            if time.monotonic() > end:
                message = "waited in vain"
                raise TimeoutError(message)
            self.rest(0.02)
        self.rest()

    def until_answered(self) -> None:
        self.until(lambda: not self.annotation.scheduler.busy)

    def until_idle(self) -> None:
        self.until(lambda: not self.widget.session.status.cancel.isEnabled())

    def commit(self, name: str, *boxes: tuple[float, ...], lock: bool = False) -> None:
        """Commit an object to a new label, or to the first one if that is unused."""
        if self.session.document.commits:
            self.session.next_object()
        for box in boxes:
            self.annotation.add_box(*box)
        self.until_answered()
        self.session.commit()
        table = self.session.document.table
        self.session.set_table(table.change(table.active, name=name, locked=lock))

    def shoot(self, name: str) -> None:
        """Write a picture of the window."""
        from PIL import Image

        self.rest(0.5)
        path = IMAGES / f"{name}.png"
        shot = self.viewer.screenshot(canvas_only=False, flash=False)
        picture = Image.fromarray(shot).convert("RGB")
        picture.save(path, optimize=True)
        print(f"{path.name}: {picture.size}, {path.stat().st_size // 1000} kB", flush=True)

    def read_notification(self) -> None:
        """Wait for a notification, and unfold it."""
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        find = self.viewer.window._qt_window.findChildren
        self.until(lambda: find(NapariQtNotification))
        self.rest(1)
        for note in find(NapariQtNotification):
            note.toggle_expansion()
        self.rest(1)

    def hush(self) -> None:
        """Close notifications."""
        from napari._qt.dialogs.qt_notification import NapariQtNotification

        for note in self.viewer.window._qt_window.findChildren(NapariQtNotification):
            note.close()
        self.rest()


def segment_widget(studio: Studio) -> None:
    studio.open_phantom()
    studio.until_answered()
    studio.annotation.go_to(SLICE)
    studio.annotation.add_box(*RIGHT_VENTRICLE)
    studio.annotation.add_point(63, 87, positive=False)
    studio.until_answered()
    studio.until_idle()
    studio.shoot("segment-widget")
    studio.session.clear()


def candidates(studio: Studio) -> None:
    studio.annotation.go_to(SLICE)
    studio.widget.session.masks.multimask.setChecked(True)
    studio.annotation.add_point(51, 57)
    studio.until_answered()
    studio.until_idle()
    studio.shoot("candidates")
    studio.widget.session.masks.multimask.setChecked(False)
    studio.session.clear()


def labels(studio: Studio) -> None:
    studio.annotation.go_to(SLICE)
    studio.commit("ventricles", RIGHT_VENTRICLE, LEFT_VENTRICLE, lock=True)
    studio.commit("lesion", LESION)
    studio.commit("nucleus", NUCLEUS)
    studio.until_idle()
    studio.shoot("labels")


def sagittal(studio: Studio) -> None:
    studio.viewer.dims.order = (2, 0, 1)
    studio.annotation.go_to(52, axis=2)
    studio.viewer.reset_view()
    studio.annotation.add_box(49, 7, 65, 12)
    studio.until_answered()
    studio.until_idle()
    studio.shoot("sagittal")
    studio.session.clear()
    studio.viewer.dims.order = (0, 1, 2)
    studio.annotation.go_to(SLICE)
    studio.viewer.reset_view()


def light(studio: Studio) -> None:
    studio.viewer.theme = "light"
    studio.annotation.add_box(*LESION)
    studio.until_answered()
    studio.shoot("light")
    studio.viewer.theme = "dark"
    studio.session.clear()


def small(studio: Studio) -> None:
    studio.viewer.window.resize(1000, 640)
    studio.rest(0.5)
    studio.viewer.reset_view()
    studio.shoot("small-window")
    studio.viewer.window.resize(*SIZE)
    studio.rest(0.5)
    studio.viewer.reset_view()


def error_locked(studio: Studio) -> None:
    studio.session.activate(1)
    studio.annotation.add_box(*RIGHT_VENTRICLE)
    studio.until_answered()
    studio.widget.session.prompts.actions_["commit"].click()
    studio.read_notification()
    studio.shoot("error-locked")
    studio.hush()
    studio.session.clear()


def error_outside(studio: Studio) -> None:
    shapes = studio.annotation.canvas.shapes
    shapes.add([[SLICE, y, x] for y, x in ((20, 165), (20, 190), (60, 190), (60, 165))])
    studio.read_notification()
    studio.shoot("error-outside")
    studio.hush()


def error_checkpoint(studio: Studio) -> None:
    path = Path("torn_checkpoint.pth")
    path.write_bytes(b"no checkpoint")
    studio.widget.models.show_model(str(path))
    studio.widget.models.chosen.emit(str(path))
    studio.until_answered()
    studio.read_notification()
    studio.shoot("error-checkpoint")
    studio.hush()


def recovered(studio: Studio) -> None:
    studio.widget.current.end()
    studio.viewer.window.remove_dock_widget(studio.widget)
    studio.viewer.layers.clear()
    studio.open_widget()
    studio.open_phantom()
    studio.annotation.go_to(SLICE)
    studio.until_answered()
    studio.until_idle()
    studio.shoot("recovered")


def progress(studio: Studio) -> None:
    """With an encoder that takes seconds: SAM's ViT-B, of random weights."""
    studio.widget.session.status.discard.click()
    path = Path("sam_vit_b_tuned.pth")
    subprocess.run([sys.executable, "-c", RANDOM_VIT_B, str(path)], check=True)
    studio.widget.models.show_model(str(path))
    studio.widget.models.chosen.emit(str(path))
    bar = studio.widget.session.status.bar
    studio.until(lambda: bar.maximum() and 0.3 < bar.value() / bar.maximum() < 0.9)
    studio.shoot("progress")


# Each goes on where the one before it ended.
PICTURES = (
    segment_widget,
    candidates,
    labels,
    sagittal,
    light,
    small,
    error_locked,
    error_outside,
    error_checkpoint,
    recovered,
    progress,
)


def segment_pictures(studio: Studio) -> None:
    studio.open_widget()
    for picture in PICTURES:
        picture(studio)
    studio.widget.current.end()


WIDGETS = {
    "segment": segment_pictures,
    "embed": embed_pictures.make_pictures,
    "finetune": finetune_pictures.make_pictures,
}


def main(names: list[str]) -> int:
    """Make the pictures of some widgets, or of all."""
    for name in names or WIDGETS:
        with tempfile.TemporaryDirectory() as folder:
            _photograph(WIDGETS[name], Path(folder))
    return 0


def _photograph(make_pictures: Callable[[Studio], None], folder: Path) -> None:
    os.environ["NAPARI_CONFIG"] = str(folder / "napari.yaml")
    for variable in ("CACHE", "CONFIG", "MODELS", "STATE"):
        os.environ[f"NAPARI_SAMRI_{variable}"] = str(folder / variable.lower())
    # A picture shows the names of files, but no temporary folder's.
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    os.chdir(folder)
    studio = Studio()
    make_pictures(studio)
    studio.viewer.close()
    os.chdir(IMAGES)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
