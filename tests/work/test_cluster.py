"""A real Dask cluster on this machine, whose workers are processes of their own."""

from __future__ import annotations

import os
import signal
import time
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError
from napari_samri.jobs.events import Finished, Problem, Stopped
from napari_samri.work import EmbedConfig
from napari_samri.work.cluster import embed_on_cluster
from tests.work.making import digests, make_data

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
    ) as cluster:
        yield cluster
    if before is None:
        del os.environ["OMP_NUM_THREADS"]
    else:
        os.environ["OMP_NUM_THREADS"] = before


class Killer(Thread):
    """Kills a worker in the middle of a shard."""

    def __init__(self, cluster: Any, out: Path) -> None:
        super().__init__(daemon=True)
        self._cluster = cluster
        self._out = out
        self.tasks_lost = 0

    def run(self) -> None:
        while not self.tasks_lost:
            begun = any(self._out.rglob("*.zarr")) or any(self._out.glob("parts/*/plan.json"))
            for nanny in self._cluster.workers.values() if begun else ():
                state = self._cluster.scheduler.workers.get(nanny.worker_address)
                if state is not None and state.processing:
                    self.tasks_lost = len(state.processing)
                    os.kill(nanny.pid, signal.SIGKILL)
                    return
            time.sleep(0.02)


def test_one_of_two_workers_is_killed(
    cluster: Any, manifest: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bank.zarr"
    config = EmbedConfig(manifest=manifest, out=out, device="cpu")
    killer = Killer(cluster, out)
    killer.start()
    events = list(embed_on_cluster(config, cluster.scheduler_address))
    killer.join()
    assert killer.tasks_lost > 0
    assert isinstance(events[-1], Finished)
    assert events[-1].details["complete"]
    assert digests(out) == digests(uninterrupted)


def test_it_can_be_cancelled_and_resumed(
    cluster: Any, manifest: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bank.zarr"
    config = EmbedConfig(manifest=manifest, out=out, device="cpu")
    events = list(embed_on_cluster(config, cluster.scheduler_address, lambda: True))
    assert isinstance(events[-1], Stopped)
    list(embed_on_cluster(config, cluster.scheduler_address))
    assert digests(out) == digests(uninterrupted)


def test_what_cannot_be_read_is_told_once(cluster: Any, tmp_path: Path) -> None:
    manifest = make_data(tmp_path / "data", 9)  # 72 slices: the fourth study is in one shard
    (tmp_path / "data" / "case3_img.nii.gz").write_bytes(b"nothing")
    out = tmp_path / "bank.zarr"
    config = EmbedConfig(manifest=manifest, out=out, device="cpu")
    events = list(embed_on_cluster(config, cluster.scheduler_address))
    (problem,) = (event.text for event in events if isinstance(event, Problem))
    assert "case3_img.nii.gz" in problem
    assert len(Bank(out)) == 64


def test_nobody_there(manifest: Path, tmp_path: Path) -> None:
    config = EmbedConfig(manifest=manifest, out=tmp_path / "bank.zarr", device="cpu")
    with pytest.raises(InputError, match="no Dask scheduler answers there"):
        list(embed_on_cluster(config, "tcp://127.0.0.1:1"))
