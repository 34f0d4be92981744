"""Memory that is kept, in processes of their own: malloc's settings are a process's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

KEPT = """
import numpy as np
from pathlib import Path
from napari_samri.jobs.memory import keep_memory

def data_kb():
    return int(Path("/proc/self/status").read_text().split("VmData:")[1].split()[0])

keep_memory()
before = data_kb()
array = np.ones(32_000_000)
del array
print(data_kb() - before)
"""


def kept_kb(**settings: str) -> int:
    """Return how much more memory a process has after an array of 250,000 kB has come and gone."""
    # Dask, for one, leaves its workers' settings behind in the process that starts them.
    others = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", KEPT],
        env={**others, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_the_memory_of_a_large_array_stays_for_the_next() -> None:
    assert kept_kb() > 200_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_the_users_own_settings_win() -> None:
    assert kept_kb(MALLOC_TRIM_THRESHOLD_="131072") < 50_000
