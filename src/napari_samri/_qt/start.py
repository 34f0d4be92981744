"""Sessions opened in a window or from the console: one per image, whoever opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri._napari.annotation import Annotation, annotations_of
from napari_samri._qt.relay import relay_events

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_samri.session.settings import Settings


def open_annotation(
    viewer: ViewerModel, image: Image, settings: Settings, labels: Labels | None = None
) -> Annotation:
    """Return the annotation of an image, started if there is none."""
    found = annotations_of(viewer).get(id(image))
    if found is not None:
        return found
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
