"""Banks in napari: lazy, row by row, and never a zarr that is something else."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_samri._napari.banks import (
    METADATA_KEY,
    bank_layers,
    describe_row,
    label_features,
    lazy_rows,
    show_bank,
)
from napari_samri._napari.reader import get_reader
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError
from napari_samri.work import EmbedConfig, embed_bank
from tests.work.making import make_data

if TYPE_CHECKING:
    from pathlib import Path

    from npe2 import PluginManager

ROWS = 72  # more than fill a shard

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bank of `ROWS` rows."""
    out = tmp_path_factory.mktemp("bank") / "bank.zarr"
    data = make_data(tmp_path_factory.mktemp("data"), ROWS // 8)
    list(embed_bank(EmbedConfig(manifest=data, out=out, device="cpu")))
    return out


def test_two_layers_show_what_the_bank_holds(whole: Path) -> None:
    bank = Bank(whole)
    viewer = ViewerModel()
    for data, options, kind in get_reader(str(whole))(str(whole)):
        getattr(viewer, f"add_{kind}")(data, **options)
    thumbs, labels = viewer.layers
    assert [layer.name for layer in viewer.layers] == ["bank", "bank labels"]
    assert tuple(thumbs.contrast_limits) == (0, 255)
    assert tuple(thumbs.axis_labels) == tuple(labels.axis_labels) == ("bank row", "row", "column")
    for row in (0, 63, 64, len(bank) - 1):
        np.testing.assert_array_equal(thumbs.data[row], bank.thumb(row))
        np.testing.assert_array_equal(labels.data[row], bank.labels(row))
    viewer.dims.set_point(0, 70)
    np.testing.assert_array_equal(np.asarray(labels._slice.image.raw), bank.labels(70))


def test_each_row_says_where_it_is_from(whole: Path) -> None:
    bank = Bank(whole)
    table = bank_layers(whole)[0][1]["metadata"][METADATA_KEY]
    for row in (0, 70):
        study, entry = bank.slice_of(row)
        assert table["patient"][row] == study.patient
        text = describe_row(table, row)
        assert text == (
            f"made-up, {study.patient}, train: slice {entry.index} across axis {study.axis} of "
            f"{study.image}"
        )


def test_nothing_is_read_before_it_is_looked_at(
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    monkeypatch.setattr(Bank, "thumb", lambda _, row: seen.append(row) or np.zeros((256, 256)))
    (data, options, _), _ = bank_layers(whole)
    assert seen == []
    side = data.shape[1]
    monkeypatch.setattr(Bank, "thumb", lambda _, row: seen.append(row) or np.zeros((side, side)))
    (data, options, _), _ = bank_layers(whole)
    viewer = ViewerModel()
    viewer.add_image(data, **options)
    viewer.dims.set_point(0, 9)
    assert set(seen) <= {0, 9, len(data) // 2, (len(data) - 1) // 2}
    assert data.chunks[0] == (1,) * len(data)


def test_painting_stays_in_memory(whole: Path) -> None:
    before = Bank(whole).labels(0)
    data, options, _ = bank_layers(whole)[1]
    layer = ViewerModel().add_labels(data, **options)
    layer.data[0, 0, 0] = 7
    np.testing.assert_array_equal(Bank(whole).labels(0), before)


def test_the_row_in_view_has_a_caption(whole: Path) -> None:
    viewer = ViewerModel()
    show_bank(viewer, bank_layers(whole))
    canvas = getattr(viewer, "canvas", None)
    overlay = viewer.text_overlay if canvas is None else canvas.overlays.text
    table = viewer.layers[0].metadata[METADATA_KEY]
    for row in (0, 20):
        viewer.dims.set_current_step(0, row)
        assert overlay.visible
        assert overlay.text == describe_row(table, row)
    assert not viewer.layers[1].editable
    callbacks = len(viewer.dims.events.current_step.callbacks)
    viewer.layers.pop(0)
    assert not overlay.visible
    assert len(viewer.dims.events.current_step.callbacks) < callbacks


def test_a_viewer_whose_layers_all_go(whole: Path) -> None:
    """As when its window closes: there are two axes left before the layer is said to be gone."""
    viewer = ViewerModel()
    show_bank(viewer, bank_layers(whole))
    viewer.dims.set_current_step(0, 20)
    viewer.layers.clear()
    assert viewer.dims.ndim == 2


def test_names_of_labels(whole: Path, tmp_path: Path) -> None:
    bank = Bank(whole)
    [dataset] = bank.parts[0].plan.manifest.datasets
    dataset.label_names.update({1: "cord", 3: "tumour"})  # type: ignore[attr-defined]
    assert label_features(bank) == {"index": [0, 1, 3], "name": ["background", "cord", "tumour"]}


def test_other_zarrs_are_not_ours(plugins: PluginManager, tmp_path: Path) -> None:
    other = tmp_path / "other.zarr"
    other.mkdir()
    [reader] = plugins.iter_compatible_readers([str(other)])
    assert reader.command == "napari-samri.read", "it is asked, because of the name"
    for content in (None, b"not json", b'{"attributes": {}}'):
        if content is not None:
            (other / "zarr.json").write_bytes(content)
        assert get_reader(str(other)) is None


def test_refusals(whole: Path, tmp_path: Path) -> None:
    later = tmp_path / "later.zarr"
    shutil.copytree(whole, later)
    head = json.loads((later / "zarr.json").read_text())
    head["attributes"]["napari_samri"]["version"] = 99
    (later / "zarr.json").write_text(json.dumps(head))
    with pytest.raises(InputError, match="version 99"):
        get_reader(str(later))(str(later))
    empty = tmp_path / "empty.zarr"
    empty.mkdir()
    shutil.copy(whole / "zarr.json", empty)
    with pytest.raises(InputError, match="no part of this bank is complete yet"):
        bank_layers(empty)


def test_a_hundred_thousand_rows_open_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Large:
        header = type("Header", (), {"low_res_size": 256})

        def __len__(self) -> int:
            return 100_000

        def thumb(self, row: int) -> np.ndarray:
            return np.full((256, 256), row % 251, np.uint8)

        labels = thumb

    begin = time.perf_counter()
    data = lazy_rows(Large(), "thumb", np.uint8)  # type: ignore[arg-type]
    viewer = ViewerModel()
    viewer.add_image(data, contrast_limits=(0, 255), rgb=False, multiscale=False)
    assert time.perf_counter() - begin < 10
    assert np.asarray(data[99_999])[0, 0] == 99_999 % 251
