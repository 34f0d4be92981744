"""One data set and its uninterrupted bank, shared by the tests that only read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from napari_samri.work import EmbedConfig, embed_bank
from tests.work.making import finish, make_data, start

if TYPE_CHECKING:
    from pathlib import Path

STUDIES = 18  # 144 slices: three shards, the last one short


@pytest.fixture(scope="session")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"), STUDIES)


@pytest.fixture(scope="session")
def whole(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bank made in one go."""
    out = tmp_path_factory.mktemp("whole") / "bank.zarr"
    list(embed_bank(EmbedConfig(manifest=manifest, out=out, device="cpu")))
    return out


@pytest.fixture(scope="session")
def uninterrupted(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bank made in one go by a process with one thread."""
    out = tmp_path_factory.mktemp("uninterrupted") / "bank.zarr"
    finish(start(manifest, out))
    return out
