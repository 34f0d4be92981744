"""Rows of an embedding bank as layers: their slices, their labels, and where each is from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from napari_samri._napari.connections import Connections
from napari_samri._napari.layers import data_at
from napari_samri.datasets import SPLITS
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError
from napari_samri.filenames import stem_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_samri.training import ValidationSlices

    Array = NDArray[Any]
    LayerData = tuple[Any, dict[str, Any], str]

METADATA_KEY = "samri bank"
# "row" alone would be a row of pixels.
AXES = ("bank row", "row", "column")


def bank_layers(path: Path | str) -> list[LayerData]:
    """Return the data, options and type of two layers: a bank's thumbnails and its labels.

    Both are lazy arrays (N, L, L) of one chunk per row, so even a large bank opens quickly, and
    only what is looked at is read. Row by row, the metadata tell data set, patient, image, axis,
    slice and split.

    Raises
    ------
    InputError
        If it is no bank, was altered, or has no rows yet.
    """
    bank = Bank(path)
    if not len(bank):
        message = (
            f"{bank.path}: no part of this bank is complete yet, so there are no rows to show. "
            "Embed the same data set into it again: it goes on where it stopped."
        )
        raise InputError(message)
    name = stem_of(bank.path, [".zarr"])
    common = {"axis_labels": AXES, "metadata": {METADATA_KEY: row_table(bank)}}
    thumbs = common | {"name": name, "contrast_limits": (0, 255), "rgb": False}
    labels = common | {"name": f"{name} labels", "features": label_features(bank)}
    return [
        (lazy_rows(bank, "thumb", np.uint8), thumbs | {"multiscale": False}, "image"),
        (lazy_rows(bank, "labels", np.uint16), labels | {"multiscale": False}, "labels"),
    ]


def row_table(bank: Bank) -> dict[str, Any]:
    """Return the path of a bank and, as arrays of equal length, where each row is from."""
    rows = bank.rows
    images = np.array([study.image for study in bank.studies], object)
    return {
        "path": str(bank.path),
        "dataset": np.array(bank.datasets, object)[rows["dataset"]],
        "patient": np.array(bank.patients, object)[rows["patient"]],
        "image": images[rows["volume"]],
        "split": np.array(SPLITS, object)[rows["split"]],
        "axis": rows["axis"],
        "slice": rows["slice"],
    }


def describe_row(table: dict[str, Any], row: int) -> str:
    """Return where a row is from, in words."""
    return (
        f"{table['dataset'][row]}, {table['patient'][row]}, {table['split'][row]}: slice "
        f"{table['slice'][row]} across axis {table['axis'][row]} of {table['image'][row]}"
    )


def label_features(bank: Bank) -> dict[str, list[Any]]:
    """Return what napari shows of a label under the mouse: its name, as each data set has it."""
    names: dict[int, dict[str, None]] = {0: {"background": None}}
    for part in bank.parts:
        for dataset in part.plan.manifest.datasets:
            for label, name in dataset.label_names.items():
                names.setdefault(label, {})[name] = None
    found = sorted((label, " / ".join(known)) for label, known in names.items())
    return {"index": [label for label, _ in found], "name": [name for _, name in found]}


def lazy_rows(bank: Bank, what: str, dtype: type) -> Any:
    """Return ``thumb`` or ``labels`` of all rows as a dask array (N, L, L), one chunk per row."""
    import dask.array as da

    read = {"thumb": bank.thumb, "labels": bank.labels}[what]
    side = bank.header.low_res_size

    def chunk(row: int) -> Array:
        return read(row)[None].astype(dtype)

    # Not `from_array`, which goes through all chunks whenever one is computed.
    name = f"samri-{what}-{uuid4().hex}"
    graph = {(name, row, 0, 0): (chunk, row) for row in range(len(bank))}
    chunks = ((1,) * len(bank), (side,), (side,))
    return da.Array(graph, name, chunks, dtype=dtype, meta=np.zeros((0, 0, 0), dtype))


def show_bank(viewer: ViewerModel, layers: list[LayerData]) -> None:
    """Add the layers of `bank_layers` to a viewer, with a caption for the row in view."""
    (thumbs, thumb_options, _), (labels, label_options, _) = layers
    image = viewer.add_image(thumbs, **thumb_options)
    # What would be painted here is in no file.
    viewer.add_labels(labels, **label_options).editable = False
    viewer.reset_view()
    _Caption(viewer, image)


def is_of_bank(layer: Any) -> bool:
    """Tell whether a layer shows a bank's rows, which lie in no space of millimetres."""
    return METADATA_KEY in layer.metadata


class _Caption:
    """Writes on the canvas where the row in view is from, until the layer is removed."""

    def __init__(self, viewer: ViewerModel, image: Image) -> None:
        self._viewer, self._image = viewer, image
        self._connections = Connections()
        # The viewer's events keep this alive.
        self._connections.add(viewer.dims.events.current_step, self._write)
        self._connections.add(viewer.layers.events.removed, self._look)
        self._write()

    def _write(self, *_: object) -> None:
        if self._viewer.dims.ndim < self._image.ndim:
            return  # the layer was removed; the viewer says so only after its axes have changed
        overlay = _text_overlay(self._viewer)
        row = round(float(data_at(self._viewer, self._image, self._viewer.dims.point)[0]))
        shown = 0 <= row < len(self._image.data)
        overlay.visible = shown and self._image.visible
        if shown:
            overlay.text = describe_row(self._image.metadata[METADATA_KEY], row)

    def _look(self, *_: object) -> None:
        if self._image not in self._viewer.layers:
            self._connections.close()
            _text_overlay(self._viewer).visible = False


def _text_overlay(viewer: ViewerModel) -> Any:
    """Return the text on a viewer's canvas, where each version of napari has it."""
    canvas = getattr(viewer, "canvas", None)
    return viewer.text_overlay if canvas is None else canvas.overlays.text


class PreviewLayers:
    """Slices, what was drawn on them, and what the decoder answers, in a viewer.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
        Without other layers: these lie in no space of millimetres.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layers: list[Any] = []
        self._epoch: int | None = None

    @property
    def shown(self) -> bool:
        """Whether its layers are still there."""
        return bool(self._layers) and all(each in self._viewer.layers for each in self._layers)

    def show(self, preview: ValidationSlices) -> None:
        """Add the layers, or bring them up to date."""
        if self.shown:
            self.update(preview)
            return
        common: dict[str, Any] = {
            "axis_labels": ("slice", "row", "column"),
            "metadata": {METADATA_KEY: {}},
        }
        add_image, add_labels = self._viewer.add_image, self._viewer.add_labels
        slices = add_image(
            preview.thumb, name="validation", contrast_limits=(0, 255), rgb=False, **common
        )
        answer = add_labels(preview.prediction, name="predicted", opacity=0.4, **common)
        drawn = add_labels(preview.truth, name="drawn", opacity=1, **common)
        drawn.contour = 2
        # What would be painted here is in no file.
        answer.editable = drawn.editable = False
        self._layers = [slices, answer, drawn]
        self._viewer.reset_view()
        self._take(preview)

    def update(self, preview: ValidationSlices) -> None:
        """Show a newer preview, if the layers are still there and it is another one."""
        if self.shown and preview.epoch != self._epoch:
            slices, answer, drawn = self._layers
            slices.data, answer.data, drawn.data = preview.thumb, preview.prediction, preview.truth
            self._take(preview)

    def _take(self, preview: ValidationSlices) -> None:
        self._epoch = preview.epoch
        self._layers[1].name = f"predicted, epoch {preview.epoch}"
