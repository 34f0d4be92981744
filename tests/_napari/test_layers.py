"""Which plane a viewer shows, and where pixels of it are in layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.components import ViewerModel

from napari_samri._napari.layers import (
    plane_of,
    show_plane,
    shown_plane,
    to_coordinates,
    to_pixels,
)
from napari_samri.geometry import Plane

SHAPE = (4, 5, 6)


def _viewer(shape: tuple[int, ...] = SHAPE, **options: Any) -> tuple[ViewerModel, Any]:
    viewer = ViewerModel()
    return viewer, viewer.add_image(np.zeros(shape, np.float32), **options)


def _planes(times: int | None = None) -> list[Plane]:
    points = [None] if times is None else list(range(times))
    return [
        Plane(axis, index, time)
        for time in points
        for axis in range(3)
        for index in (0, SHAPE[axis] - 1, 2)
    ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scale": (3.5, 0.7, 1.1)},
        {"scale": (0.3, 2, 1), "translate": (-20.5, 7, 1000)},
    ],
)
def test_what_is_shown_is_what_is_seen(options: dict[str, Any]) -> None:
    viewer, layer = _viewer(**options)
    for plane in _planes():
        show_plane(viewer, layer, plane)
        assert shown_plane(viewer, layer) == plane


def test_with_time() -> None:
    viewer, layer = _viewer((3, *SHAPE), scale=(1, 3.5, 0.7, 1.1))
    for plane in _planes(times=3):
        show_plane(viewer, layer, plane)
        assert shown_plane(viewer, layer) == plane


def test_from_any_order_of_the_axes() -> None:
    """Also from one that shows time, which no plane does."""
    viewer, layer = _viewer((3, *SHAPE))
    for order in ((0, 1, 2, 3), (3, 0, 1, 2), (2, 3, 0, 1), (1, 2, 3, 0), (0, 3, 2, 1)):
        for ndisplay in (2, 3):
            viewer.dims.ndisplay = ndisplay
            viewer.dims.order = order
            show_plane(viewer, layer, Plane(1, 4, 2))
            assert shown_plane(viewer, layer) == Plane(1, 4, 2)


def test_transposed_planes_are_the_same_planes() -> None:
    viewer, layer = _viewer()
    show_plane(viewer, layer, Plane(0, 3))
    viewer.dims.transpose()
    assert shown_plane(viewer, layer) == Plane(0, 3)


def test_nothing_is_shown_in_3d_or_over_time_or_beside_the_slices() -> None:
    viewer, layer = _viewer((3, *SHAPE))
    viewer.dims.ndisplay = 3
    assert shown_plane(viewer, layer) is None
    viewer.dims.ndisplay = 2
    viewer.dims.order = (2, 3, 0, 1)
    assert shown_plane(viewer, layer) is None

    viewer, layer = _viewer()
    viewer.add_image(np.zeros((40, 5, 6)))
    viewer.dims.set_point(0, 20)
    assert shown_plane(viewer, layer) is None
    viewer.dims.set_point(0, 2)
    assert shown_plane(viewer, layer) == Plane(0, 2)


def test_2d_images() -> None:
    viewer, layer = _viewer((5, 6))
    assert shown_plane(viewer, layer) == Plane(0, 0)
    viewer.dims.ndisplay = 3
    assert shown_plane(viewer, layer) is None
    show_plane(viewer, layer, Plane(0, 0))
    assert shown_plane(viewer, layer) == Plane(0, 0)


def test_beside_layers_of_more_axes() -> None:
    viewer, layer = _viewer()
    viewer.add_image(np.zeros((7, 4, 5, 6)))
    for plane in _planes():
        show_plane(viewer, layer, plane)
        assert shown_plane(viewer, layer) == plane


@given(
    st.integers(0, 2),
    st.integers(0, 3),
    st.sampled_from([2, 3, 4]),
    st.lists(st.tuples(*[st.floats(-10, 10, width=32)] * 2), min_size=1, max_size=5),
)
def test_pixels_there_and_back(
    axis: int, index: int, ndim: int, pixels_xy: list[tuple[float, float]]
) -> None:
    """In single precision too, which is what layers keep."""
    plane = Plane(0, 0) if ndim == 2 else Plane(axis, index, 2 if ndim == 4 else None)
    coordinates = to_coordinates(pixels_xy, plane, ndim).astype(np.float32)
    assert coordinates.shape == (len(pixels_xy), ndim)
    assert plane_of(coordinates, plane.axis) == plane
    np.testing.assert_array_equal(to_pixels(coordinates, plane), np.array(pixels_xy))


def test_x_is_along_the_columns_of_the_plane() -> None:
    assert to_coordinates([[1, 2]], Plane(0, 3), 3).tolist() == [[3, 2, 1]]
    assert to_coordinates([[1, 2]], Plane(1, 3), 3).tolist() == [[2, 3, 1]]
    assert to_coordinates([[1, 2]], Plane(2, 3), 3).tolist() == [[2, 1, 3]]
    assert to_coordinates([[1, 2]], Plane(2, 3, 5), 4).tolist() == [[5, 2, 1, 3]]
    assert to_coordinates([[1, 2]], Plane(0, 0), 2).tolist() == [[2, 1]]
