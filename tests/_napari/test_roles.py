"""Which layers are images and which are labels: the same for every widget."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_samri._napari.layer_tasks import layer_pair
from napari_samri._napari.layers import layer_options, reference_of
from napari_samri._napari.roles import (
    as_labels_layer,
    doubt,
    images_of,
    labels_of,
    may_be_labels,
    use_as_image,
)
from napari_samri._qt import scripting
from napari_samri.errors import InputWarning
from tests.session.fakes import make_volume

SHAPE = (5, 20, 24)
GREY = np.random.default_rng(0).normal(100, 30, SHAPE)
MASK = np.zeros(SHAPE)
MASK[1:3, 4:12, 5:14] = 1
MASK[3, 2:5, 3:6] = 3


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16, np.uint8, bool])
def test_few_whole_numbers_may_be_labels(viewer: ViewerModel, dtype: Any) -> None:
    layer = viewer.add_image(MASK.astype(dtype), name="mask")
    assert may_be_labels(layer)
    assert images_of(viewer) == []
    assert labels_of(viewer) == [layer]
    assert "'mask' holds only a few whole numbers" in str(doubt(layer))


@pytest.mark.parametrize(
    "array",
    [
        GREY.astype(np.float32),
        np.rint(GREY).clip(0).astype(np.float32),
        MASK / 2,
        MASK - 1,
        np.zeros(SHAPE),
        np.where(MASK > 0, np.nan, MASK),
        MASK * 70000,
    ],
    ids=["grey", "many whole", "halves", "negative", "constant", "not a number", "too large"],
)
def test_what_is_an_image(viewer: ViewerModel, array: Any) -> None:
    layer = viewer.add_image(array, contrast_limits=(0, 1))
    assert not may_be_labels(layer)
    assert images_of(viewer) == [layer]
    assert labels_of(viewer) == []


def test_new_data_are_looked_at_anew_and_the_user_has_the_last_word(viewer: ViewerModel) -> None:
    layer = viewer.add_image(GREY)
    assert not may_be_labels(layer)
    layer.data = MASK
    assert may_be_labels(layer)
    use_as_image(layer)
    assert images_of(viewer) == [layer]
    assert labels_of(viewer) == []


def test_what_is_no_volume_is_neither(viewer: ViewerModel) -> None:
    viewer.add_image(np.zeros((8, 9, 3), np.uint8), rgb=True)
    viewer.add_image([MASK, MASK[:, ::2, ::2]], multiscale=True)
    assert images_of(viewer) == labels_of(viewer) == []


def test_labels_open_as_an_image_become_labels_where_they_lay(viewer: ViewerModel) -> None:
    volume = make_volume(SHAPE)
    options = layer_options(volume, "mask")
    below = viewer.add_image(GREY, name="below")
    layer = viewer.add_image(MASK.astype(np.float32), translate=(3, 4, 5), **options)
    above = viewer.add_image(GREY, name="above")
    made = as_labels_layer(viewer, layer)
    assert list(viewer.layers) == [below, made, above]
    assert isinstance(made, Labels)
    assert made.data.dtype.kind == "u"
    np.testing.assert_array_equal(made.data, MASK)
    made.data[0, 0, 0] = 2  # it can be painted on
    assert made.name == "mask"
    np.testing.assert_array_equal(made.extent.world, layer.extent.world)
    assert reference_of(made.metadata) is options["metadata"]["samri"]
    assert as_labels_layer(viewer, made) is made


def test_layers_to_embed_and_to_train_on_may_be_such_labels(viewer: ViewerModel) -> None:
    image = viewer.add_image(GREY.astype(np.float32), name="t1")
    layer = viewer.add_image(MASK.astype(np.float32), name="mask")
    assert (images_of(viewer), labels_of(viewer)) == ([image], [layer])
    pair = layer_pair(image, layer)
    assert pair.labels.dtype.kind == "u"
    np.testing.assert_array_equal(pair.labels, MASK)


def test_a_script_is_warned_of_an_image_that_may_be_labels(
    viewer: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scripting, "_open", lambda *_: Mock())
    mask = viewer.add_image(MASK.astype(np.float32), name="mask")
    grey = viewer.add_image(GREY, name="grey")
    with pytest.warns(InputWarning, match="'mask' holds only a few whole numbers"):
        scripting.start_session(viewer, mask)
    scripting.start_session(viewer, grey)
    mask.metadata["samri image"] = True
    scripting.start_session(viewer, mask)
