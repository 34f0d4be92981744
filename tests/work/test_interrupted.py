"""Real processes that are killed, stopped, or race each other."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from napari_samri.embeddings.bank import is_bank, parts_of
from napari_samri.embeddings.bank.arrays import shard_key
from tests.work.making import PATIENCE, digests, finish, start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

KILLS = 6
MOST_CHANGES = 100  # of files and folders, in a run of three shards


def test_killed_and_resumed_many_times(manifest: Path, uninterrupted: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.zarr"
    generator = random.Random(0)  # noqa: S311
    killed = 0
    committed = set()
    while killed < KILLS:
        process = start(manifest, out)
        # By what it writes, not by the clock: it may be ten times as fast elsewhere.
        for _ in range(generator.randint(1, MOST_CHANGES)):
            before = written(out)
            while written(out) == before and process.poll() is None:
                time.sleep(0.005)
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
    """Return a number that changes whenever a file or a folder does."""
    total = 0
    for folder, folders, files in os.walk(out):  # passes over what goes meanwhile
        for name in [".", *folders, *files]:
            with suppress(OSError):
                total += os.stat(os.path.join(folder, name)).st_mtime_ns
    return total


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
    out = tmp_path / "bank.zarr"
    process = start(manifest, out, module="tests.work.interrupting")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "run it again to go on" in errors
