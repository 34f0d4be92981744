"""A session that is closed and begun again on the same labels goes on where it ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel

from napari_samri._napari.annotation import Annotation
from napari_samri._napari.canvas import labels_drawn_on
from napari_samri._napari.layers import layer_options
from napari_samri.geometry import Volume
from napari_samri.geometry.grid import Grid
from napari_samri.session.journal import journals_dir
from tests.session.fakes import FakeEngine

if TYPE_CHECKING:
    from pathlib import Path


def begin(viewer: ViewerModel, image: Any) -> Annotation:
    labels = labels_drawn_on(viewer, image)
    return Annotation(viewer, image, labels, engine=FakeEngine(), ahead=0)


def test_names_locks_and_open_prompts_come_back(tmp_path: Path) -> None:
    volume = Volume.from_stored(
        np.random.default_rng(0).normal(size=(20, 24, 6)),
        Grid((20, 24, 6), np.diag([1.0, 1, 3, 1]), tmp_path / "head.nii"),
    )
    viewer = ViewerModel()
    image = viewer.add_image(volume.array, **layer_options(volume, "head"))
    first = begin(viewer, image)
    first.go_to(2)
    first.add_box(3, 4, 12, 15)
    first.session.set_table(first.session.document.table.change(1, name="liver", locked=True))
    document = first.session.document
    first.close()

    second = begin(viewer, image)
    assert second.session.document == document
    assert second.recovered is None, "nothing was lost, so nothing is offered"
    assert second.session.unsaved
    assert len(second.link.canvas.shapes.data) == 1
    assert [layer.name for layer in viewer.layers if "labels" in layer.name] == ["head labels"]
    second.journal.flush()
    second.close()

    # A crash after that still finds all of it, once.
    assert len(list(journals_dir().glob("*.journal"))) == 1
    for layer in list(viewer.layers):
        if layer is not image:
            viewer.layers.remove(layer)
    third = begin(viewer, image)
    assert third.recovered is not None
    assert third.recovered.document.drawn == document.drawn
    third.restore()
    assert third.session.document == replace(document)
    third.close()
