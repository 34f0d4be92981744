"""The pictures of the Fine-tune widget; made by `screenshots.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from screenshots import Studio

SLICE = 10
EPOCHS = 30
ENOUGH = 12


def make_pictures(studio: Studio) -> None:
    """Train on the phantom's labels, look at the masks, and be refused."""
    import os

    from napari_samri._qt.finetune_widget import FinetuneWidget

    os.environ["OMP_NUM_THREADS"] = "1"
    studio.open_sample()
    studio.viewer.dims.set_current_step(0, SLICE)
    widget = FinetuneWidget(studio.viewer)
    studio.viewer.window.add_dock_widget(widget, name="Fine-tune", area="right")
    studio.rest(1)
    in_progress(studio, widget)
    masks(studio, widget)
    widget.job.cancel()
    studio.until(lambda: not widget.job.status.busy)
    light(studio, widget)
    studio.viewer.window.remove_dock_widget(widget)
    widget.close()


def in_progress(studio: Studio, widget: Any) -> None:
    form = widget.form
    form.out.line_edit.value = "phantom_tuned"
    form.rows["epochs"].value = EPOCHS
    widget.progress.buttons["train"].click()
    studio.until(lambda: len(getattr(widget.job.status, "points", ())) > ENOUGH)
    studio.shoot("finetune-widget")


def masks(studio: Studio, widget: Any) -> None:
    import napari

    here = studio.viewer
    widget.look.click()
    studio.until(lambda: napari.current_viewer() is not here)
    studio.viewer = napari.current_viewer()
    studio.viewer.window.resize(1100, 750)
    studio.rest(0.5)
    studio.viewer.dims.set_current_step(0, 1)
    studio.viewer.reset_view()
    studio.shoot("finetune-masks")
    studio.viewer.close()
    studio.viewer = here


def light(studio: Studio, widget: Any) -> None:
    studio.viewer.theme = "light"
    widget.form.source.value = "bank"
    Path("brains").mkdir()
    widget.form.rows["bank"].line_edit.value = "brains"
    studio.rest(1)
    widget.progress.buttons["train"].click()
    studio.until(lambda: widget.job.status.phase == "failed")
    studio.shoot("finetune-light")
    studio.viewer.theme = "dark"
