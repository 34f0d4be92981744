"""Labels of a layer come back on exactly the grid of their image, or are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
import pytest

from napari_samri import Volume
from napari_samri._napari.layers import layer_options
from napari_samri._napari.reader import get_reader
from napari_samri._napari.writer import reference_to_save_on, write_labels
from napari_samri.errors import InputError, SamriError, StoreError
from napari_samri.geometry import Grid
from napari_samri.io.writing import GEOMETRY
from tests._napari.conftest import made_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    WriteNifti = Callable[..., Path]


def read(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    reader = get_reader(str(path))
    assert reader is not None
    [(data, options, _)] = reader(str(path))
    return data, options


def assert_same(written: Path, source: Path) -> None:
    new, old = nib.load(written), nib.load(source)
    for name in GEOMETRY:
        assert new.header[name].tobytes() == old.header[name].tobytes(), name
    assert new.shape == old.shape
    np.testing.assert_array_equal(new.affine, old.affine)
    np.testing.assert_array_equal(np.asarray(new.dataobj), np.asarray(old.dataobj))
    assert int(new.header["intent_code"]) == 1002


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [(9, 8, 5), (9, 8), (9, 8, 5, 3), (9, 8, 5, 1)])
def test_round_trip(
    write_nifti: WriteNifti, tmp_path: Path, shape: tuple[int, ...], suffix: str
) -> None:
    source = write_nifti("a_seg.nii.gz", made_up(shape))
    data, options = read(source)
    out = tmp_path / f"new{suffix}"
    assert write_labels(str(out), data, options) == [str(out)]
    assert_same(out, source)


def test_round_trip_of_real_labels(shared_data: Path, tmp_path: Path) -> None:
    count = 0
    for source in sorted((shared_data / "images_labelled").glob("*_seg.nii.gz")):
        data, options = read(source)
        write_labels(str(tmp_path / source.name), data, options)
        assert_same(tmp_path / source.name, source)
        count += 1
    assert count == 22


def test_new_labels_on_an_image(write_nifti: WriteNifti, tmp_path: Path) -> None:
    image = write_nifti("t1.nii", made_up(dtype=np.float32))
    data, options = read(image)
    labels = np.zeros(data.shape, int)
    labels[2, 3, 4] = 300
    write_labels(str(tmp_path / "new.nii"), labels, options)
    written = nib.load(tmp_path / "new.nii")
    assert written.get_data_dtype() == np.uint16
    np.testing.assert_array_equal(written.affine, nib.load(image).affine)
    again, _ = read(tmp_path / "new.nii")
    np.testing.assert_array_equal(again, labels)


def test_new_labels_on_dicom(shared_data: Path, tmp_path: Path) -> None:
    data, options = read(shared_data / "dicom" / "prostatex0001_adc")
    labels = (data > data.mean()).astype(np.uint8)
    write_labels(str(tmp_path / "new.nii.gz"), labels, options)
    again, others = read(tmp_path / "new.nii.gz")
    np.testing.assert_array_equal(again, labels)
    np.testing.assert_allclose(others["scale"], options["scale"], rtol=1e-6)


def without_reference(_: dict[str, Any]) -> dict[str, Any]:
    return {"name": "mine", "metadata": {}}


def without_metadata(_: dict[str, Any]) -> dict[str, Any]:
    return {"name": "mine"}


def with_something_else(_: dict[str, Any]) -> dict[str, Any]:
    return {"name": "mine", "metadata": {"samri": "something else"}}


def without_geometry(_: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a layer whose image came from an array."""
    array = made_up()
    volume = Volume.from_stored(array, Grid(array.shape, np.eye(4)))
    return layer_options(volume, "mine")


@pytest.mark.parametrize(
    "change", [without_reference, without_metadata, with_something_else, without_geometry]
)
def test_labels_of_no_known_image_are_refused(
    write_nifti: WriteNifti, tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    data, options = read(write_nifti("a_seg.nii", made_up()))
    attributes = change(options)
    with pytest.raises(InputError, match=r"'mine'.*[Cc]hoose the reference image"):
        reference_to_save_on(attributes)
    refused(tmp_path / "new.nii", data, attributes, "reference image")


def test_labels_that_do_not_fit_their_image_are_refused(
    write_nifti: WriteNifti, tmp_path: Path
) -> None:
    data, options = read(write_nifti("a_seg.nii", made_up()))
    path = tmp_path / "new.nii"
    refused(path, data[:-1], options, "shape")
    refused(
        path, data + 0.5, options, r"hold \d\.5 at slice 0, row 0, column 0; expected whole numbers"
    )
    refused(path, data - 9, options, r"hold -9 at .* to 65535")
    refused(path, [data, data[:, ::2]], options | {"multiscale": True}, "multiscale")
    refused(tmp_path / "new.tif", data, options, r"\.nii")
    refused(tmp_path / "missing" / "new.nii", data, options, "cannot be written")


def refused(path: Path, data: Any, attributes: dict[str, Any], why: str) -> None:
    """Check the error's type too: napari takes a ValueError for a missing writer."""
    with pytest.raises(SamriError, match=why) as caught:
        write_labels(str(path), data, attributes)
    assert isinstance(caught.value, StoreError)
    assert not isinstance(caught.value, ValueError)
    assert not path.exists()
