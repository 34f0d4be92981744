"""Sessions opened in a window or from the console: one per image, whoever opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri._napari.annotation import Annotation, annotations_of
from napari_samri._napari.canvas import labels_drawn_on
from napari_samri._qt.relay import relay_events

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_samri.session.settings import Settings


def open_annotation(
    viewer: ViewerModel, image: Image, settings: Settings, labels: Labels | None = None
) -> Annotation:
    """Return the annotation of an image, started if there is none.

    Parameters
    ----------
    viewer : napari.Viewer
    image : napari.layers.Image
    settings : Settings
    labels : napari.layers.Labels, optional
        Where others are annotated so far, that session ends. By default those of the session
        that there is, or of an earlier one, else a new layer.

    Raises
    ------
    InputError, GeometryError
        If the image or the labels cannot be used.
    """
    found = annotations_of(viewer).get(id(image))
    if found is not None:
        if labels is None or labels is found.link.canvas.labels:
            return found
        found.close(f"The session on '{image.name}' goes on with the labels '{labels.name}'.")
    labels = labels or labels_drawn_on(viewer, image)
    annotation = Annotation(
        viewer,
        image,
        labels,
        ahead=settings.prefetch_slices,
        autosave=settings.autosave,
    )
    annotations_of(viewer)[id(image)] = annotation
    relay_events(annotation)
    return annotation
