"""Memory that is kept, in processes of their own: malloc's settings are a process's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource
import numpy as np
from napari_samri.jobs.memory import keep_memory
keep_memory()
np.ones(4_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(4_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**settings: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs glibc")
def test_the_memory_of_a_large_array_serves_the_next() -> None:
    kept = faults()
    # Pages of 2 MB at most: 20 arrays of 32 MB that are asked for anew make 300 faults or more.
    assert kept < 100
    assert faults(MALLOC_TRIM_THRESHOLD_="131072", MALLOC_MMAP_THRESHOLD_="131072") > 3 * kept
