"""Where layers lie: whether labels lie on an image, and how they are resampled onto it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri._napari.layers import (
    METADATA_KEY,
    array_of,
    placement_of,
    reference_of,
    unit_factor,
    volume_of,
)
from napari_samri.errors import GeometryError, InputError, OtherGridError
from napari_samri.geometry import Placement, Resampled, resample_nearest
from napari_samri.session import checked_labels

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

PLACE_KEY = "samri place"  # in the metadata of labels: where they lay on their image, in mm
TRANSFORMS = ("scale", "translate", "rotate", "shear", "affine", "units")


def transform_of(layer: Layer) -> dict[str, Any]:
    """Return all that says where a layer's array lies in the world, as options of a layer."""
    return {name: getattr(layer, name) for name in TRANSFORMS}


def is_placed_like(layer: Layer, image: Layer) -> bool:
    """Tell whether a layer has exactly the transform of an image."""
    return layer.units == image.units and all(
        np.array_equal(np.asarray(getattr(layer, name)), np.asarray(getattr(image, name)))
        for name in TRANSFORMS
        if name != "units"
    )


def place_like(layer: Layer, image: Layer) -> None:
    """Give a layer the transform of an image."""
    for name, value in transform_of(image).items():
        setattr(layer, name, value)


def place_in_mm(layer: Layer, shape: tuple[int, ...] | None = None) -> Placement:
    """Return where a layer's array lies in the viewer: in mm as far as its units say.

    Parameters
    ----------
    layer : napari layer
    shape : tuple of int, optional
        Of the array that is meant, if it is not the layer's own.
    """
    factors = [unit_factor(unit, "mm") for unit in layer.units]
    place = placement_of(layer, shape)
    return Placement(place.shape, np.diag([*factors, 1.0]) @ place.affine)


@dataclass(frozen=True, eq=False)
class _Pair:
    """Where an image and labels lie, in the viewer and in their files, where these are known."""

    viewer: tuple[Placement, Placement]
    files: tuple[Placement, Placement] | None
    as_read: tuple[Placement, Placement] | None


def check_on_grid(image: Image, labels: Labels) -> None:
    """Raise unless labels lie on an image voxel by voxel, in the viewer and in their files.

    Files count where both layers know theirs: the world of a viewer has no origin, so that
    two files on other grids may lie on each other there.

    Raises
    ------
    OtherGridError
        If they lie elsewhere; the message has both grids in numbers.
    """
    pair = _pair(image, labels)
    if pair.files is not None and not pair.files[1].is_on(pair.files[0]):
        raise _refusal(image, labels, pair.files, "their files")
    if not pair.viewer[1].is_on(pair.viewer[0]):
        raise _refusal(image, labels, pair.viewer, "the viewer")


def check_layers(image: Image, labels: Labels | None = None) -> None:
    """Raise unless a session can work on an image and labels; nothing is changed.

    Raises
    ------
    InputError, GeometryError
        If the image or the labels cannot be used.
    """
    volume = volume_of(image)
    if labels is not None:
        check_on_grid(image, labels)
        array = array_of(labels)
        checked_labels(np.empty(array.shape, array.dtype), volume)


def resampled_labels(image: Image, labels: Labels) -> Resampled:
    """Return the labels of a layer on the grid of an image.

    By the files, if the layers lie in the viewer as their files say; by the viewer, if that
    is all there is, or the files' grids are the same and a layer was moved.

    Raises
    ------
    GeometryError
        If the layers' axes do not correspond, or both the files and what was moved in the viewer
        disagree.
    """
    pair = _pair(image, labels)
    if pair.files is None or pair.files[1].is_on(pair.files[0]):
        target, source = pair.viewer
    elif _moved_alike(pair):
        target, source = pair.files
    else:
        message = (
            f"the labels '{labels.name}' are of a file on another grid than that of "
            f"'{image.name}', and one of the layers was moved in the viewer as well, so that "
            "where the labels belong is not known. Reset the transforms of both layers first."
        )
        raise GeometryError(message)
    array = np.asarray(labels.data).reshape(source.shape)
    found = resample_nearest(array, source, target)
    return replace(found, labels=found.labels.reshape(image.data.shape))


def labels_on_image(viewer: ViewerModel, image: Image, labels: Labels) -> tuple[Labels, str]:
    """Return labels on the grid of an image, and what became of them.

    The labels themselves, and nothing, if they lie on it already; else a new layer, and the
    old one is hidden.

    Raises
    ------
    GeometryError
        As `resampled_labels`.
    """
    try:
        check_on_grid(image, labels)
    except OtherGridError:
        found = resampled_labels(image, labels)
    else:
        return labels, ""
    reference = reference_of(image.metadata)
    layer = viewer.add_labels(
        found.labels,
        name=f"{labels.name} on {image.name}",
        axis_labels=image.axis_labels,
        metadata={METADATA_KEY: reference} if reference else {},
        **transform_of(image),
    )
    layer.metadata[PLACE_KEY] = place_in_mm(layer)
    labels.visible = False
    return layer, f"'{labels.name}' was resampled onto '{image.name}': {found}"


def _pair(image: Image, labels: Labels) -> _Pair:
    if labels.multiscale:
        message = f"the labels '{labels.name}' are multiscale; expected a single resolution."
        raise InputError(message)
    if image.ndim != labels.ndim:
        message = (
            f"the labels '{labels.name}' have {labels.ndim} axes, but '{image.name}' has "
            f"{image.ndim}; expected labels on the image's own grid. Choose or make other labels."
        )
        raise GeometryError(message)
    viewer = _in_mm(image, labels)
    references = [reference_of(layer.metadata) for layer in (image, labels)]
    first, second = (
        known if known is not None and known.shape == tuple(layer.data.shape) else None
        for known, layer in zip(references, (image, labels), strict=True)
    )
    if first is None or second is None:
        return _Pair(viewer, None, None)
    return _Pair(
        viewer,
        (first.placement, second.placement),
        (first.placement_as_read, second.placement_as_read),
    )


def _in_mm(image: Image, labels: Labels) -> tuple[Placement, Placement]:
    """Return where both lie in the viewer: in mm as far as their units say, else in numbers."""
    own, common = (
        np.array([unit_factor(*units) for units in zip(one, others, strict=True)])
        for one, others in ((labels.units, image.units), (image.units, ("mm",) * image.ndim))
    )
    places = []
    for layer, factors in ((image, common), (labels, own * common)):
        place = placement_of(layer)
        places.append(Placement(place.shape, np.diag([*factors, 1.0]) @ place.affine))
    return places[0], places[1]


def _moved_alike(pair: _Pair) -> bool:
    """Tell whether both layers were moved in the viewer by the same transform, or not at all."""
    if pair.as_read is None:
        return False
    (image, labels), (image_read, labels_read) = pair.viewer, pair.as_read
    moved = labels.affine @ np.linalg.inv(labels_read.affine)
    return image.is_on(Placement(image.shape, moved @ image_read.affine))


def _refusal(
    image: Image, labels: Labels, places: tuple[Placement, Placement], where: str
) -> OtherGridError:
    place, other = places
    apart = (
        f"up to {place.apart(other):.3g} mm from it; expected at most {place.tolerance:.3g}"
        if place.shape == other.shape
        else "of another shape"
    )
    message = (
        f"the labels '{labels.name}' do not lie on the grid of '{image.name}': by {where}, the "
        f"image has {place}; the labels have {other}, {apart}. Resample them onto the image's "
        "grid, or choose or make other labels."
    )
    return OtherGridError(message)
