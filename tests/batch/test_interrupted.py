"""Real processes that are killed, race each other, or run on a real Dask cluster."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from napari_samri.batch import EmbedConfig
from napari_samri.embeddings.bank import Bank, is_bank, parts_of
from napari_samri.embeddings.bank.arrays import shard_key
from napari_samri.jobs.events import Finished, Started, Stopped
from tests.batch.making import digests

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

KILLS = 10


def start(manifest: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "napari_samri", "embed", str(manifest), "--out", str(out)),
            *("--device", "cpu", *options),
        ],
        stderr=subprocess.PIPE,
        text=True,
        # As in this process: with another number of threads the last bits may differ.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return errors


@pytest.fixture(scope="module")
def uninterrupted(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("uninterrupted") / "bank.zarr"
    finish(start(manifest, out))
    return out


def test_killed_ten_times_and_resumed(manifest: Path, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.zarr"
    generator = random.Random(0)  # noqa: S311
    killed = 0
    committed = set()
    while killed < KILLS:
        process = start(manifest, out)
        before = written(out)
        # From the moment on that it writes, not from its start, which takes seconds.
        while written(out) == before and process.poll() is None:
            time.sleep(0.005)
        time.sleep(generator.uniform(0, 0.4))
        if process.poll() is None:
            process.kill()
            killed += 1
        process.communicate()
        committed.add(len(shards_in(out)))
        if is_complete(out):
            for shard in generator.sample(shards_in(out), 2):
                shard.unlink()  # more to do, so that there is more to kill
    finish(start(manifest, out))
    assert len(committed) > 1
    assert digests(out) == digests(uninterrupted)


def shards_in(out: Path) -> list[Path]:
    return [
        path
        for part in (parts_of(out) if is_bank(out) else [])
        for shard in range(part.plan.shards)
        if (path := part.path / shard_key("emb", shard)).exists()
    ]


def is_complete(out: Path) -> bool:
    parts = parts_of(out) if is_bank(out) else []
    return bool(parts) and all(part.sealed for part in parts)


def written(out: Path) -> int:
    return sum(path.stat().st_mtime_ns for path in out.rglob("*") if path.exists())


def test_two_that_race_for_the_same_shards(
    manifest: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "bank.zarr"
    racing = [start(manifest, out, "--rank", "0", "--of", "1") for _ in range(2)]
    for process in racing:
        finish(process)
    assert digests(out) == digests(uninterrupted)


def test_the_ranks_of_an_array(manifest: Path, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.zarr"
    ranks = [start(manifest, out, "--rank", str(rank), "--of", "2") for rank in range(2)]
    for process in ranks:
        finish(process)
    assert digests(out) == digests(uninterrupted)


def test_ctrl_c_stops_cleanly(manifest: Path, tmp_path: Path) -> None:
    import signal

    out = tmp_path / "bank.zarr"
    process = start(manifest, out)
    while not [*out.glob("parts/*/plan.json")]:
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "run it again to go on" in errors


class TestCluster:
    """On workers that are processes of their own."""

    @pytest.fixture(scope="class")
    def cluster(self) -> object:
        distributed = pytest.importorskip("distributed")
        os.environ["OMP_NUM_THREADS"] = "1"
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster:
            yield cluster

    def test_one_worker_is_killed(
        self, cluster: object, manifest: Path, uninterrupted: Path, tmp_path: Path
    ) -> None:
        from napari_samri.batch.cluster import embed_on_cluster

        out = tmp_path / "bank.zarr"
        config = EmbedConfig(manifest=manifest, out=out, device="cpu")
        events = embed_on_cluster(config, cluster.scheduler_address)
        for event in events:
            if isinstance(event, Started):
                break
        victim = next(iter(cluster.workers.values())).process.process
        os.kill(victim.pid, 9)
        rest = list(events)
        assert isinstance(rest[-1], Finished)
        assert rest[-1].details["complete"]
        assert digests(out) == digests(uninterrupted)

    def test_it_can_be_cancelled_and_resumed(
        self, cluster: object, manifest: Path, uninterrupted: Path, tmp_path: Path
    ) -> None:
        from napari_samri.batch.cluster import embed_on_cluster

        out = tmp_path / "bank.zarr"
        config = EmbedConfig(manifest=manifest, out=out, device="cpu")
        assert isinstance(
            list(embed_on_cluster(config, cluster.scheduler_address, lambda: True))[-1], Stopped
        )
        list(embed_on_cluster(config, cluster.scheduler_address))
        assert digests(out) == digests(uninterrupted)
        assert len(Bank(out)) == 144
