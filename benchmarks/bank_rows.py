"""What a row costs the bank itself: time and memory of 1,000 to 100,000 tiny embeddings.

``python benchmarks/bank_rows.py [--rows 1000 10000 100000]``; each number in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_samri.datasets.manifest import DataSet, Manifest, Region, SliceEntry, Study
from napari_samri.embeddings.bank import (
    Bank,
    BankHeader,
    BankRow,
    PartPlan,
    create_bank,
    create_part,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_samri.embeddings.bank import Part

PER_STUDY = 40
SAMPLES = 10_000
COLUMNS = ("plan", "create", "write", "seal", "open", "sample")
HEADER = BankHeader(
    architecture="tiny",
    encoder="0" * 64,
    family="sam",
    preprocessing="none",
    input_size=64,
    low_res_size=16,
    features={"image": (4, 4, 4)},
)


def manifest(rows: int) -> Manifest:
    """Return studies of 40 slices with two labels on each."""
    regions = (Region(1, 400, (10, 20, 40, 50), 1), Region(2, 90, (60, 20, 70, 30), 2))
    studies = tuple(
        Study(
            dataset="made-up",
            patient=f"patient-{begin // PER_STUDY // 3}",
            split="train",
            image=f"case{begin}_img.nii.gz",
            labels=f"case{begin}_seg.nii.gz",
            axis=0,
            shape=(PER_STUDY, 256, 256),
            spacing_mm=(3.0, 0.7, 0.7),
            slices=tuple(
                SliceEntry(k, f"{begin + k:016x}", f"{begin + k:016x}", regions)
                for k in range(min(PER_STUDY, rows - begin))
            ),
        )
        for begin in range(0, rows, PER_STUDY)
    )
    return Manifest((DataSet("made-up", "", "pairs"),), studies)


def fill(part: Part) -> None:
    """Write all shards."""
    rng = np.random.default_rng(0)
    halves = rng.normal(size=(64, *HEADER.features["image"])).astype(np.float16)
    picture = np.ones((16, 16), np.uint8)
    for shard in range(part.plan.shards):
        part.write_shard(
            shard,
            {
                row: BankRow({"image": halves[row % 64]}, picture, picture, f"{row + 1:064x}")
                for row in part.plan.rows_of(shard)
            },
        )


def sample(bank: Bank) -> None:
    """Read random rows."""
    for row in np.random.default_rng(1).integers(0, len(bank), SAMPLES):
        bank.stored(int(row))


def measure(rows: int) -> str:
    """Return the seconds of each step, and the peak memory in MB."""
    seconds = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        begin = time.perf_counter()
        result = work()
        seconds[name] = time.perf_counter() - begin
        return result

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "bank.zarr"
        content = manifest(rows)
        plan = timed("plan", lambda: planned(content))
        create_bank(path, HEADER)
        part = timed("create", lambda: create_part(path, plan))
        timed("write", lambda: fill(part))
        timed("seal", part.seal)
        bank = timed("open", lambda: Bank(path))
        timed("sample", lambda: sample(bank))
        bank.close()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    counted = sum(seconds.values()) - seconds["write"]
    columns = "".join(f"{seconds[name]:9.3f}" for name in COLUMNS)
    return f"{rows:8,}{columns}{counted:18.2f}{memory:10.0f}"


def planned(content: Manifest) -> PartPlan:
    """Return a plan with its id, which takes most of the time."""
    plan = PartPlan.of(HEADER, content)
    assert plan.id
    return plan


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    rows = parser.parse_args().rows
    if len(rows) == 1:
        print(measure(rows[0]))
        return
    columns = "".join(f"{name:>9}" for name in COLUMNS)
    print(f"{'rows':>8}{columns}{'all but writing':>18}{'peak MB':>10}  (seconds)", flush=True)
    for count in rows:
        subprocess.run([sys.executable, __file__, "--rows", str(count)], check=True)


if __name__ == "__main__":
    main()
