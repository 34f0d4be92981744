"""What all tests share: no test touches the user's folders, real data are optional."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# napari draws labels with numba, whose first parallel function sets the number of OpenMP's threads
# of the whole process to that of the cores. torch's small products then spend four fifths of their
# processor time waiting for each other.
os.environ.setdefault("NUMBA_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))

# Before any window is opened: torch's triton and Mesa's software renderer each bring an LLVM, and
# a process that loads triton's second ends in a segmentation fault.
import segment_anything  # noqa: F401
import torch
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.segment.predictor import Predictor

# Whole files go to processes in this order: a slow one that came last would run alone.
SLOW_FIRST = ("gui", "training", "work", "cli", "_napari", "oracle")
# No test depends on how fast a machine is that others use too.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data" / "dev"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose tests take longest."""
    ranks = {name: rank for rank, name in enumerate(SLOW_FIRST)}
    tests = Path(__file__).parent
    items.sort(key=lambda item: ranks.get(item.path.relative_to(tests).parts[0], len(ranks)))


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep embeddings, models, journals and settings of tests in temporary folders."""
    _set_folders(tmp_path_factory, monkeypatch)


@pytest.fixture(autouse=True, scope="session")
def _folders_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Do so for what is made once for many tests, too."""
    with pytest.MonkeyPatch.context() as patch:
        _set_folders(tmp_path_factory, patch)
        yield


def _set_folders(factory: pytest.TempPathFactory, patch: pytest.MonkeyPatch) -> None:
    folder = factory.mktemp("home")
    for name in ("CACHE", "MODELS", "STATE", "CONFIG"):
        patch.setenv(f"NAPARI_SAMRI_{name}", str(folder / name.lower()))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Run small networks on one thread: on a busy machine, threads wait for each other longer."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real MRI that lies beside the repository in some places."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"real MRI data are not at {SHARED_DATA}; made-up data cover the same paths")
    return SHARED_DATA


@pytest.fixture(scope="session")
def starter() -> Predictor:
    """Return the starter on the CPU, with embeddings in memory only."""
    from napari_samri import EmbeddingCache, load_predictor

    return load_predictor(device="cpu", cache=EmbeddingCache())
