"""Which session a widget works on: begun on the layers of a viewer, changed, and ended."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from napari.layers import Labels
from psygnal import Signal

from napari_samri._napari.annotation import Annotation, annotations_of
from napari_samri._napari.canvas import labels_drawn_on, new_labels
from napari_samri._napari.connections import Connections
from napari_samri._napari.placing import check_layers, labels_on_image
from napari_samri._napari.roles import (
    as_labels_layer,
    doubt,
    images_of,
    may_be_labels,
    use_as_image,
)
from napari_samri.errors import InputWarning, OtherGridError, SamriError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_samri.session import Settings

    Begin = Callable[[Image, Labels | None, Callable[[str], None]], Annotation]


def open_annotation(
    viewer: ViewerModel,
    image: Image,
    settings: Settings,
    labels: Labels | None = None,
    *,
    tell: Callable[[str], None] | None = None,
) -> Annotation:
    """Return the annotation of an image, started if there is none.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    image : napari.layers.Image
    settings : Settings
    labels : napari.layers.Labels, optional
        If others are annotated so far, that session ends. By default those of the session
        that there is, or of an earlier one that lie on the image still, else a new layer.
    tell : callable
        Called with a sentence about earlier labels that do not lie on the image any more; by
        default that is an InputWarning.

    Raises
    ------
    InputError, GeometryError
        If the image or the labels cannot be used; the session that there is goes on then.
    """
    found = annotations_of(viewer).get(id(image))
    if found is not None:
        if labels is None or labels is found.canvas.labels:
            return found
        check_layers(image, labels)
        found.close(f"The session on '{image.name}' goes on with the labels '{labels.name}'.")
    labels = labels or _earlier_labels(viewer, image, tell or _warn)
    ahead, autosave = settings.prefetch_slices, settings.autosave
    return Annotation(viewer, image, labels, ahead=ahead, autosave=autosave)


class CurrentSession:
    """The session that a widget works on; at most one at a time.

    Parameters
    ----------
    viewer : napari.Viewer or ViewerModel
    begin : callable
        ``begin(image, labels, tell)`` returns an annotation, as `open_annotation`.
    """

    begun = Signal(object)  # Annotation
    ended = Signal()
    refused = Signal(object, bool)  # SamriError, and whether to resample the labels would help
    reported = Signal(str)  # what happened to labels
    noted = Signal(str)  # what happened to other layers
    listed = Signal()  # there are other layers to choose from, or others are in use
    outdated = Signal()  # layers came or went: call `follow_layers` when napari is done with it

    def __init__(self, viewer: ViewerModel, begin: Begin) -> None:
        self.viewer = viewer
        self.annotation: Annotation | None = None
        self.doubtful: Image | None = None  # looks like labels, and was not taken for an image
        self._begin = begin
        self._elsewhere: tuple[Image, Labels] | None = None
        self._farewell = ""
        self._with_viewer, self._with_annotation = Connections(), Connections()
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            self._with_viewer.add(event, lambda *_: self.outdated.emit())

    def use_image(self, image: Image | None, labels: Labels | None = None) -> None:
        """Annotate an image layer, or none; what was annotated before is closed.

        Parameters
        ----------
        image : napari.layers.Image or None
        labels : napari.layers.Labels, optional
            Labels to go on with; by default those of an earlier session on the image, if they
            are still there, else a new layer.
        """
        self.doubtful = image if image is not None and may_be_labels(image) else None
        before = self.annotation
        same = before is not None and before.image is image and labels is None
        if same or not self._can_use(image, labels):
            self.listed.emit()
            return
        with self._with_viewer.muted():  # these layers are our own
            self.end()
            refusal = self._open(image, labels)
            if refusal is not None and before is not None:
                self._open(before.image, before.canvas.labels)
        self.listed.emit()
        if refusal is not None:
            self.refused.emit(refusal, False)

    def insist(self, image: Image) -> None:
        """Annotate what looks like labels, but is an image."""
        use_as_image(image)
        self.use_image(image)

    def use_labels(self, labels: Labels | Image | None) -> None:
        """Go on with other labels on the same image; None makes a new layer."""
        annotation = self.annotation
        if annotation is None or labels is annotation.canvas.labels:
            return
        with self._with_viewer.muted():
            layer = new_labels(self.viewer, annotation.image) if labels is None else labels
            chosen = as_labels_layer(self.viewer, layer)
        self.use_image(annotation.image, chosen)

    def resample_labels(self) -> None:
        """Bring the labels that were refused last onto their image, and go on with these."""
        image, labels = self._elsewhere or (None, None)
        if image is None or labels is None or not {image, labels} <= set(self.viewer.layers):
            self.noted.emit("These layers are not there any more.")
            return
        try:
            with self._with_viewer.muted():
                made, became = labels_on_image(self.viewer, image, labels)
        except SamriError as error:
            self.refused.emit(error, False)
            return
        self.use_image(image, made)
        self.reported.emit(became)

    def follow_layers(self) -> None:
        """Annotate the first image that comes; hide what would cover the one in use."""
        if self._farewell:
            self.noted.emit(self._farewell)
            self._farewell = ""
        if self.annotation is not None:
            self._hide_newcomers(self.annotation)
        usable = images_of(self.viewer)
        if self.annotation is None and usable:
            active = self.viewer.layers.selection.active
            self.use_image(active if active in usable else usable[-1])
        else:
            self.listed.emit()

    def end(self) -> None:
        """End the session; labels stay."""
        self.release()
        self.ended.emit()

    def release(self) -> None:
        """End the session without a signal."""
        self._with_annotation.close()
        annotation, self.annotation = self.annotation, None
        if annotation is not None:
            annotation.release()

    def close(self) -> None:
        """End the session and disconnect from the viewer, without a signal."""
        self._with_viewer.close()
        self.release()

    def _can_use(self, image: Image | None, labels: Labels | None) -> bool:
        """Tell whether a session can begin; say why not, if it cannot."""
        if image is None:
            return True
        if self.doubtful is not None:
            self.refused.emit(doubt(image), False)
            return False
        try:
            check_layers(image, labels)
        except SamriError as error:
            elsewhere = labels is not None and isinstance(error, OtherGridError)
            if labels is not None and elsewhere:
                self._elsewhere = (image, labels)
            self.refused.emit(error, elsewhere)
            return False
        return True

    def _open(self, image: Image | None, labels: Labels | None) -> SamriError | None:
        """Begin a session, if there is an image; return why that cannot be."""
        if image is None:
            return None
        became: list[str] = []
        try:
            annotation = self._begin(image, labels, became.append)
        except SamriError as error:
            return error
        annotation.retain()
        self.annotation = annotation
        self._with_annotation.add(annotation.ended, self._take_end)
        self.begun.emit(annotation)
        for text in became:
            self.reported.emit(text)
        return None

    def _take_end(self, reason: str) -> None:
        self._with_annotation.close()
        self.annotation = None
        self.ended.emit()
        # Said later, and thus not if this is because the whole window closes.
        self._farewell = reason
        self.outdated.emit()

    def _hide_newcomers(self, annotation: Annotation) -> None:
        """Hide new layers that would cover the image: prompts have to be drawn on what is seen."""
        for layer in annotation.foreground.hide_others():
            labels = isinstance(layer, Labels)
            how = "it lies elsewhere" if labels else "choose it beside 'Image' to segment it"
            self.noted.emit(
                f"'{layer.name}' is hidden while '{annotation.image.name}' is segmented ({how}); "
                "the eye in the list of layers shows it."
            )


def _earlier_labels(
    viewer: ViewerModel, image: Image, tell: Callable[[str], None]
) -> Labels | None:
    """Return the labels of an earlier session on an image, unless they do not lie on it now."""
    labels = labels_drawn_on(viewer, image)
    if labels is None:
        return None
    try:
        check_layers(image, labels)
    except OtherGridError as error:
        tell(f"A new labels layer was made, since the one of an earlier session is unfit: {error}")
        return None
    return labels


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=2)
