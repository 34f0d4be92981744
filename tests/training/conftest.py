"""A bank of made-up studies in all splits, embedded with the starter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from napari_samri.datasets import read_manifest, write_manifest
from napari_samri.work import EmbedConfig, embed_bank
from tests.work.making import make_data

if TYPE_CHECKING:
    from pathlib import Path

SPLITS = ("train", "train", "validation", "zero-shot")


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    path = make_data(folder / "data", len(SPLITS))
    manifest = read_manifest(path)
    studies = [replace(s, split=split) for s, split in zip(manifest.studies, SPLITS, strict=True)]
    write_manifest(path, replace(manifest, studies=tuple(studies)))
    out = folder / "bank.zarr"
    list(embed_bank(EmbedConfig(manifest=path, out=out, device="cpu")))
    return out
