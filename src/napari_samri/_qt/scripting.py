"""Sessions from napari's console, scripts and notebooks, with a window or without one."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from napari.layers import Image, Labels

from napari_samri._napari import (
    IMAGE_KEY,
    Annotation,
    annotations_of,
    labels_on_image,
    may_be_labels,
)
from napari_samri.errors import InputError, InputWarning
from napari_samri.geometry import flag
from napari_samri.session import read_settings

if TYPE_CHECKING:
    from pathlib import Path

    from napari.components import ViewerModel


def start_session(
    viewer: ViewerModel,
    image_layer: Image,
    model: str | Path = "starter",
    *,
    device: str = "auto",
    family: str | None = None,
    labels_layer: Labels | None = None,
    resample_labels: bool = False,
) -> Annotation:
    """Annotate an image in a viewer: what the Segment widget does, from Python.

    If there is a session on this image already, as of the widget, that one is returned.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
    image_layer : napari.layers.Image
    model : str or path
        Id of a known model, or a checkpoint file.
    device : str
        ``auto`` or a device's name.
    family : str, optional
        Preprocessing of a checkpoint given by path.
    labels_layer : napari.layers.Labels, optional
        Labels to go on with; else a new layer is made.
    resample_labels : bool
        Bring labels on another grid onto the image's, by nearest neighbours, as a new layer; an
        InputWarning says what became of them. Else they are refused.

    Returns
    -------
    Annotation
        The model loads in the background: `Annotation.wait` waits for it.

    Raises
    ------
    InputError, GeometryError
        If the image or the labels cannot be used, or a session on the image works on other
        labels; nothing was added to the viewer.

    Warns
    -----
    InputWarning
        If the image may well be labels that are stored as an image.
    """
    annotation = annotations_of(viewer).get(id(image_layer))
    if annotation is not None:
        _check_labels(annotation, labels_layer)
    else:
        _check_layers(image_layer, labels_layer)
        if may_be_labels(image_layer):
            warnings.warn(_doubt(image_layer), InputWarning, stacklevel=2)
        if labels_layer is not None and flag(resample_labels, "resample_labels"):
            labels_layer, became = labels_on_image(viewer, image_layer, labels_layer)
            if became:
                warnings.warn(became, InputWarning, stacklevel=2)
        annotation = _open(viewer, image_layer, labels_layer)
        annotation.retain()  # by the script, so that it outlives a widget that joins in
    annotation.use_model(str(model), device=device, family=family)
    return annotation


def _doubt(image: Image) -> str:
    return (
        f"'{image.name}' holds only a few whole numbers, as labels do: masks that are predicted on "
        "a mask mean nothing. If it holds labels, give them as labels_layer, on their image; if "
        f"it is an image anyway, set image_layer.metadata['{IMAGE_KEY}'] = True."
    )


def _check_labels(annotation: Annotation, wanted: Labels | None) -> None:
    labels = annotation.canvas.labels
    if wanted is not None and wanted is not labels:
        message = (
            f"the session on '{annotation.image.name}' works on the labels '{labels.name}', not "
            f"on '{wanted.name}'; end it first (its close method), or choose them in the widget."
        )
        raise InputError(message)


def _check_layers(image: object, labels: object) -> None:
    if not isinstance(image, Image) or not isinstance(labels, (Labels, type(None))):
        message = (
            f"the image is a {type(image).__name__} and the labels are a {type(labels).__name__}; "
            "expected an image layer of the viewer, and a labels layer or None."
        )
        raise InputError(message)


def _open(viewer: ViewerModel, image: Image, labels: Labels | None) -> Annotation:
    settings = read_settings()
    if hasattr(viewer, "window"):
        from napari_samri._qt.relay import open_in_window

        return open_in_window(viewer, image, settings, labels)
    ahead, autosave = settings.prefetch_slices, settings.autosave
    return Annotation(viewer, image, labels, ahead=ahead, autosave=autosave)
