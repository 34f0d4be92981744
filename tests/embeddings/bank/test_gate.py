"""Masks from stored embeddings are those from computed ones, on real slices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri import Predictor


@pytest.mark.slow
def test_masks_survive_quantisation(
    shared_data: Path, starter: Predictor, one_thread: None
) -> None:
    reason = "the benchmarks are not beside the tests"
    quantisation = pytest.importorskip("benchmarks.quantisation", reason=reason)
    from benchmarks.real_slices import chosen

    manifest = chosen(shared_data / "images_labelled", 12)
    scores = quantisation.measure(starter, manifest)
    assert len(scores) > 60
    for way in ("float16", "int8"):
        agreement, change, passed = quantisation.gate(scores, way)
        assert passed, (way, agreement, change)
