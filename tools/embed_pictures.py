"""The pictures of the Embed widget; made by `screenshots.py`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from screenshots import Studio

STUDIES = 8
ROW = 70


def make_pictures(studio: Studio) -> None:
    """Embed a made-up data set, with a study that has no labels, and look at the bank."""
    from napari_samri._qt.embed_widget import EmbedWidget

    make_data_set(Path("brains"))
    studio.open_sample()
    widget = EmbedWidget(studio.viewer)
    studio.viewer.window.add_dock_widget(widget, name="Embed", area="right")
    studio.rest(1)
    in_progress(studio, widget)
    result(studio, widget)
    light(studio, widget)
    studio.viewer.window.remove_dock_widget(widget)
    widget.close()


def make_data_set(folder: Path) -> None:
    """Write noisy copies of the phantom."""
    from napari_samri.geometry import Volume
    from napari_samri.io import save_labels
    from napari_samri.io.samples import make_phantom
    from napari_samri.io.writing import save_image

    folder.mkdir()
    image, labels = make_phantom()
    for number in range(STUDIES):
        noise = np.random.default_rng(number).normal(0, 20, image.array.shape)
        noisy = (image.array + noise).clip(0).astype(np.int16)
        name = f"head{number + 1}"
        save_image(folder / f"{name}_img.nii.gz", Volume(noisy, image.grid, image.orientation))
        if number != 2:
            save_labels(folder / f"{name}_seg.nii.gz", labels.array, image)


def in_progress(studio: Studio, widget: Any) -> None:
    form = widget.form
    form.rows["folder"].line_edit.value = "brains"
    form.out.line_edit.value = "brains.zarr"
    widget.progress.buttons["embed"].click()
    studio.until(lambda: widget.job.status.done > ROW)
    studio.shoot("embed-widget")
    studio.until(lambda: not widget.job.status.busy)


def result(studio: Studio, widget: Any) -> None:
    import napari

    here = studio.viewer
    widget.progress.buttons["open"].click()
    studio.until(lambda: napari.current_viewer() is not here)
    studio.viewer = napari.current_viewer()
    studio.viewer.window.resize(1100, 750)
    studio.rest(0.5)
    studio.viewer.reset_view()
    studio.viewer.dims.set_current_step(0, ROW)
    studio.shoot("bank")
    studio.viewer.close()
    studio.viewer = here


def light(studio: Studio, widget: Any) -> None:
    studio.viewer.theme = "light"
    widget.form.source.value = "layers"
    widget.form.out.line_edit.value = "elsewhere/phantom.zarr"
    widget.progress.buttons["embed"].click()
    studio.shoot("embed-light")
    studio.viewer.theme = "dark"
