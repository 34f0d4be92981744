"""The samples, one of which needs nothing but this package."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_samri._napari.layers import reference_of
from napari_samri._napari.reader import get_reader, open_phantom, open_template
from napari_samri._napari.writer import write_labels
from napari_samri.errors import InputError
from napari_samri.io import samples

if TYPE_CHECKING:
    from pathlib import Path


def test_phantom(tmp_path: Path) -> None:
    (image, image_options, kind), (labels, label_options, label_kind) = open_phantom()
    assert (kind, label_kind) == ("image", "labels")
    assert image.shape == labels.shape == (24, 160, 160)
    np.testing.assert_allclose(image_options["scale"], (4.0, 1.2, 1.2), rtol=1e-6)
    assert image_options["scale"] == label_options["scale"]
    assert [options["name"] for options in (image_options, label_options)] == [
        "phantom",
        "phantom_labels",
    ]
    labels[0, 0, 0] = 4  # can be painted on
    path = str(tmp_path / "phantom_labels.nii.gz")
    write_labels(path, labels, label_options)
    reader = get_reader(path)
    assert reader is not None
    [(again, options, _)] = reader(path)
    np.testing.assert_array_equal(again, labels)
    written, made = (reference_of(o["metadata"]) for o in (options, image_options))
    assert written is not None
    assert made is not None
    np.testing.assert_array_equal(written.grid.affine, made.grid.affine)


@pytest.mark.skipif(find_spec("nilearn") is None, reason="nilearn is not installed")
def test_template() -> None:
    [(data, options, kind)] = open_template()
    assert (kind, options["name"]) == ("image", "MNI152 T1")
    assert data.shape == (189, 233, 197)


def test_template_without_nilearn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"napari-samri\[demo\]"):
        open_template()
