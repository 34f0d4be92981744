"""The interactive cache, filled beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

from napari_samri import load_predictor, load_volume
from napari_samri.embeddings import EmbeddingCache
from napari_samri.embeddings.cache import cache_dir
from napari_samri.errors import InputError
from napari_samri.geometry import Plane
from napari_samri.jobs.events import Finished, Progressed, Stopped
from napari_samri.work.warm import warm_cache
from tests.work.making import make_study

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("axis", [0, 1])
def test_every_slice_is_found_by_a_predictor(tmp_path: Path, axis: int) -> None:
    make_study(tmp_path, "head", 0, (12, 10, 9))
    path = tmp_path / "head_img.nii.gz"
    events = list(warm_cache(path, axis=axis, device="cpu"))
    volume = load_volume(path)
    size = volume.spatial_shape[axis]
    done = [event.done for event in events if isinstance(event, Progressed)]
    assert done == [*range(1, size + 1)]
    assert isinstance(events[-1], Finished)
    predictor = load_predictor("starter", "cpu", EmbeddingCache(cache_dir()))
    for index in range(size):
        assert predictor.cached(Plane(axis, index).extract(volume)) is not None
    assert predictor.cached(Plane(2, 0).extract(volume)) is None


def test_one_time_point_is_enough(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(8, 9, 3, 2)).astype(np.float32)
    path = tmp_path / "series.nii"
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    with pytest.raises(InputError, match="time"):
        list(warm_cache(path, device="cpu"))
    list(warm_cache(path, device="cpu", time=1))
    volume = load_volume(path)
    predictor = load_predictor("starter", "cpu", EmbeddingCache(cache_dir()))
    assert predictor.cached(Plane(0, 0, 1).extract(volume)) is not None
    assert predictor.cached(Plane(0, 0, 0).extract(volume)) is None


def test_it_stops_between_the_parts_of_the_encoder(tmp_path: Path) -> None:
    make_study(tmp_path, "head", 0, (12, 10, 9))
    asked = []

    def cancel() -> bool:
        asked.append(None)
        return len(asked) > 300

    events = list(warm_cache(tmp_path / "head_img.nii.gz", device="cpu", cancel=cancel))
    assert isinstance(events[-1], Stopped)
    assert 0 < sum(isinstance(event, Progressed) for event in events) < 9
