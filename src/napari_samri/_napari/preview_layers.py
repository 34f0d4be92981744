"""What a run makes of a few slices, as layers that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_samri._napari.bank_reading import METADATA_KEY

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_samri.training import Preview

AXES = ("slice", "row", "column")


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

    def show(self, preview: Preview) -> None:
        """Add the layers, or bring them up to date."""
        if self.shown:
            self.update(preview)
            return
        common: dict[str, Any] = {"axis_labels": AXES, "metadata": {METADATA_KEY: {}}}
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

    def update(self, preview: Preview) -> None:
        """Show a newer preview, if the layers are still there and it is another one."""
        if self.shown and preview.epoch != self._epoch:
            slices, answer, drawn = self._layers
            slices.data, answer.data, drawn.data = preview.thumb, preview.prediction, preview.truth
            self._take(preview)

    def _take(self, preview: Preview) -> None:
        self._epoch = preview.epoch
        self._layers[1].name = f"predicted, epoch {preview.epoch}"
