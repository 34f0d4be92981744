"""A session in a viewer: what is drawn and looked at becomes intents, and state becomes layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps.standardize_color import transform_color
from psygnal import Signal

from napari_samri._napari.canvas import Canvas, redraw
from napari_samri._napari.connections import Connections
from napari_samri._napari.layers import array_of, reference_of, show_plane, shown_plane, volume_of
from napari_samri._napari.placing import TRANSFORMS, check_on_grid
from napari_samri._napari.prompt_layers import (
    NEGATIVE,
    POSITIVE,
    SIGN_COLOURS,
    read_drawn,
    set_new_items,
    write_drawn,
)
from napari_samri.errors import GeometryError, InputError, SamriError
from napari_samri.prompts import PromptSet
from napari_samri.session import Session, differing_voxels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

    from napari_samri.geometry import Plane
    from napari_samri.session import Edit, Scheduler

    Array = NDArray[Any]

# Layer events at the end of an action; those before it are of no interest.
_DONE = frozenset({"added", "changed", "removed"})


class SessionLink:
    """Connects a `Session` with the layers of a viewer, until it is closed.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    image : napari.layers.Image
    scheduler : Scheduler
        On the image's volume.
    labels : napari.layers.Labels, optional
        Labels to go on with.

    Raises
    ------
    InputError, GeometryError
        If the image or the labels cannot be used; no layer was added then.
    """

    lost = Signal(str)  # name of a layer that was removed and that the session needs

    def __init__(
        self,
        viewer: ViewerModel,
        image: Image,
        scheduler: Scheduler,
        labels: Labels | None = None,
    ) -> None:
        self.viewer = viewer
        if labels is not None:
            check_on_grid(image, labels)
        existing = None if labels is None else np.array(array_of(labels))
        self.session = Session(scheduler.volume, scheduler, existing)
        self.session.grid_is_known = reference_of(image.metadata) is not None
        self.canvas = Canvas(viewer, image, labels)
        if labels is not None:
            labels.data = existing.copy() if existing is not None else labels.data
        self._connections = Connections()
        self._table: object = None
        self._drawn: Mapping[Plane, PromptSet] | None = None  # what the layers show
        self._drawing = False
        self._counted: tuple[int, ...] = (0, 0)
        self._paint_is_late = False
        self._reported: set[str] = set()  # layers that were moved off the image
        self._connect()
        self._follow_document()
        self._follow_view()

    @property
    def sign(self) -> str:
        """Sign of the points and scribbles that are drawn next."""
        return str(self.canvas.points.feature_defaults.iloc[0]["sign"])

    def set_sign(self, sign: str) -> None:
        """Draw positive or negative points from now on.

        In the points layer's mode for selecting, selected points change too; in other modes,
        what is selected is only what was added last.
        """
        points = self.canvas.points
        selected = sorted(points.selected_data) if points.mode == "select" else []
        axis = self._axis
        with self._connections.muted():
            if selected:
                features = points.features.copy()
                features.loc[selected, "sign"] = sign
                points.features = features
                colours = points.face_color.copy()
                colours[selected] = transform_color(SIGN_COLOURS[sign])
                points.face_color = colours
            for layer in self.canvas.prompts:
                set_new_items(layer, sign, axis)
        if selected:
            self._read_prompts()

    def toggle_sign(self) -> None:
        """Go from positive to negative prompts, or back."""
        self.set_sign(NEGATIVE if self.sign == POSITIVE else POSITIVE)

    def close(self) -> None:
        """Disconnect everything, stop the engine, remove what was temporary; labels stay."""
        self._connections.close()
        self.session.close()
        self.canvas.remove()

    def _connect(self) -> None:
        add, session, canvas = self._connections.add, self.session, self.canvas
        for name in ("current_step", "order", "ndisplay"):
            add(getattr(self.viewer.dims.events, name), lambda *_: self._follow_view())
        for layer in canvas.prompts:
            add(layer.events.data, self._on_drawn)
            # Pasting emits an event of features, or of a redraw alone.
            add(layer.events.features, lambda *_: self._read_untold())
            add(layer.events.set_data, lambda *_: self._read_untold(only_counted=True))
        add(canvas.labels.events.paint, lambda *_: self._read_paint())
        add(canvas.labels.events.labels_update, lambda *_: self._read_late_paint())
        add(canvas.labels.events.data, lambda *_: self.read_labels())
        add(canvas.labels.events.selected_label, lambda *_: self._read_active())
        add(self.viewer.layers.events.removed, lambda event: self._lose(event.value))
        add(canvas.image.events.data, lambda *_: self._read_image())
        for name in TRANSFORMS:
            add(getattr(canvas.image.events, name), lambda *_: self._follow_image())
            for layer in canvas.layers:
                add(getattr(layer.events, name), lambda *_: self._put_back())
        add(session.changed, self._follow_document)
        add(session.previewed, canvas.show_preview)
        add(session.labels_changed, self._show_labels)
        add(session.revealed, self._show_plane)

    def _attempt(self, action: Any, *arguments: Any) -> bool:
        """Run an action; on an error, report it and restore the layers."""
        try:
            action(*arguments)
        except SamriError as error:
            self._drawn = None
            self._follow_document()
            self.session.failed.emit(error)
            return False
        return True

    # From the viewer

    def _follow_view(self) -> None:
        plane = shown_plane(self.viewer, self.canvas.image)
        self.canvas.rest_tools(plane is None)
        if plane is not None:
            self._draw_along(plane.axis)
        self._attempt(self.session.look_at, plane)

    def _draw_along(self, axis: int) -> None:
        """Assign what is drawn next to planes along an axis."""
        if axis != self._axis:
            with self._connections.muted():
                for layer in self.canvas.prompts:
                    set_new_items(layer, self.sign, axis)

    @property
    def _axis(self) -> int:
        return int(self.canvas.points.feature_defaults.iloc[0]["axis"])

    def _on_drawn(self, event: Any) -> None:
        action = getattr(event.action, "value", event.action)
        self._drawing = action not in _DONE
        if not self._drawing:
            self._attempt(self._read_action, action)

    def _read_untold(self, *, only_counted: bool = False) -> None:
        """Take what came onto the layers without an event of data, unless something is being drawn.

        `only_counted`: look no further than at the number of items.
        """
        if self._drawing or self._drawn is not self.session.document.drawn:
            return
        # Where no slice is shown, napari emits features after what was added has been removed.
        only_counted = only_counted or shown_plane(self.viewer, self.canvas.image) is None
        if not only_counted or self._count() != self._counted:
            self._attempt(self._read_action, "changed")

    def _count(self) -> tuple[int, ...]:
        return tuple(len(layer.data) for layer in self.canvas.prompts)

    def _read_action(self, action: str) -> None:
        if action != "removed" and shown_plane(self.viewer, self.canvas.image) is None:
            message = (
                "no slice of the image is shown, so what was drawn is no prompt and was taken "
                "away; switch the viewer to 2D, on one of its slices, and draw there."
            )
            raise InputError(message)
        self._read_prompts()

    def _read_prompts(self) -> None:
        drawn = read_drawn(*self.canvas.prompts)
        known = self.session.document.drawn
        for plane in sorted({*drawn, *known}, key=str):
            prompts = drawn.get(plane, PromptSet())
            if not self._attempt(self.session.set_prompts, prompts, plane):
                return
        self._drawn = self.session.document.drawn
        self._counted = self._count()

    def read_labels(self) -> None:
        """Take what is in the labels layer now, including what other code wrote there."""
        data = self._replaced_labels()
        if data.shape == self.session.labels.shape and data.dtype == self.session.labels.dtype:
            self._take_paint(np.nonzero(data != self.session.labels))
            return
        with self._connections.muted():
            self.canvas.labels.data = self.session.labels.copy()
        message = (
            f"the labels were replaced by {data.dtype} of shape {data.shape}; expected "
            f"{self.session.labels.dtype} of {self.session.labels.shape}. The old ones are back."
        )
        self.session.failed.emit(InputError(message))

    def _replaced_labels(self) -> Array:
        """Return what is in the labels layer, as integers of the session's own if they fit."""
        layer, kept = self.canvas.labels, self.session.labels
        if type(layer.data) is np.ndarray and layer.data.dtype == kept.dtype:
            return layer.data
        data = np.asarray(array_of(layer))
        info = np.iinfo(kept.dtype)
        alike = data.shape == kept.shape and data.dtype.kind in "biu" and data.size > 0
        if alike and info.min <= data.min() and data.max() <= info.max:
            data = data.astype(kept.dtype)
            with self._connections.muted():
                layer.data = data
        return data

    def _read_paint(self) -> None:
        where = self._painted_voxels()
        # The brush emits its event after the stroke, the polygon tool before it.
        self._paint_is_late = not len(where[0])
        self._take_paint(where)

    def _read_late_paint(self) -> None:
        if self._paint_is_late:
            self._paint_is_late = False
            self._take_paint(self._painted_voxels())

    def _take_paint(self, where: tuple[Array, ...]) -> None:
        if len(where[0]):
            self._attempt(self.session.paint, where, self.canvas.labels.data[where])

    def _painted_voxels(self) -> tuple[Array, ...]:
        """Return where the layer differs from the session, looking no further than needed."""
        shown, kept = self.canvas.labels.data, self.session.labels
        plane = self.session.plane if self.canvas.labels.n_edit_dimensions <= 2 else None
        return differing_voxels(shown, kept, plane)

    def _read_active(self) -> None:
        label = int(self.canvas.labels.selected_label)
        if label > 0:
            self._attempt(self.session.activate, label)

    def _lose(self, layer: Layer) -> None:
        canvas = self.canvas
        if layer in (canvas.image, canvas.labels, *canvas.temporary):
            self.lost.emit(layer.name)

    def _read_image(self) -> None:
        self._attempt(lambda: self.session.change_image(volume_of(self.canvas.image)))

    def _follow_image(self) -> None:
        """Move all layers to where the image now lies."""
        with self._connections.muted():
            self.canvas.follow_image()
        self._reported.clear()
        image, known = self.canvas.image, self.session.volume
        if reference_of(image.metadata) is None and volume_of(image).spacing_mm != known.spacing_mm:
            self._read_image()
        self._follow_view()

    def _put_back(self) -> None:
        """Keep layers on the image: what lies elsewhere would be read as if it lay there."""
        with self._connections.muted():
            moved = {layer.name for layer in self.canvas.follow_image()}
        if moved - self._reported:
            self._reported |= moved
            message = (
                f"the layer {', '.join(map(repr, sorted(moved)))} was moved; it lies on "
                f"'{self.canvas.image.name}' voxel by voxel, so it was put back. Move the image: "
                "its labels and prompts follow."
            )
            self.session.failed.emit(GeometryError(message))

    # To the viewer

    def _keep_strays(self) -> None:
        """Take what came onto the layers without an event, before they are rewritten."""
        known = self._drawn
        if known is None or known is self.session.document.drawn or self._drawing:
            return
        found = read_drawn(*self.canvas.prompts)
        self._drawn = None  # they are looked at once
        for plane, prompts in found.items():
            stray = prompts.without(known.get(plane, PromptSet()))
            if not stray.is_empty:
                now = self.session.document.prompts(plane)
                self._attempt(self.session.set_prompts, now.joined(stray.without(now)), plane)

    def _follow_document(self) -> None:
        self._keep_strays()
        document = self.session.document
        with self._connections.muted():
            if document.drawn is not self._drawn:
                self._drawn = document.drawn
                if read_drawn(*self.canvas.prompts) != document.drawn:
                    write_drawn(*self.canvas.prompts, document.drawn)
                self._counted = self._count()
            if document.table is not self._table:
                self._table = document.table
                self.canvas.show_table(document.table)

    def _show_labels(self, edit: Edit) -> None:
        layer, kept = self.canvas.labels, self.session.labels
        where = np.unravel_index(edit.where, kept.shape)
        layer.data[where] = kept[where]
        redraw(layer)

    def _show_plane(self, plane: Plane) -> None:
        with self._connections.muted():
            show_plane(self.viewer, self.canvas.image, plane)
        self._draw_along(plane.axis)
