"""Sessions opened in a window or from the console: one per image, whoever opens it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from napari_samri._napari import Annotation, annotations_of, check_layers, labels_drawn_on
from napari_samri._qt.relay import relay_events
from napari_samri._qt.second_viewer import draw_for_itself
from napari_samri.errors import InputWarning, OtherGridError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_samri.session import Settings


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
    viewer : napari.Viewer
    image : napari.layers.Image
    settings : Settings
    labels : napari.layers.Labels, optional
        Where others are annotated so far, that session ends. By default those of the session
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
        if labels is None or labels is found.link.canvas.labels:
            return found
        check_layers(image, labels)
        found.close(f"The session on '{image.name}' goes on with the labels '{labels.name}'.")
    draw_for_itself(viewer)  # a session's layers go when it ends
    labels = labels or _earlier_labels(viewer, image, tell or _warn)
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
