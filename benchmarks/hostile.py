"""What damaged and hostile documents do to every reader of the package.

``python benchmarks/hostile.py [--count 270] [--seed 0] [--only NAME ...]`` damages sound documents
by a seed (flipped bits, cut off, wrong types, huge and infinite numbers, deep nesting, missing,
unknown and double entries, other encodings) and lets the package read each. Every kind is read
in a process of its own, which may take 4 GB of memory, and a document 10 seconds.

Columns: documents that were read (at least in part, or by their defaults), refused by one of the
package's own errors, read in part with a warning, and those that ended in any other way; the
slowest in seconds; what the process's memory grew by. Afterwards, each kind of crash.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.hostile import READERS, Outcome, damaged, own_folders, try_one  # noqa: E402

MEMORY_BYTES = 4 << 30
DOCUMENT_SECONDS = 10
KINDS = ("read", "refused", "told", "crash")


def main() -> int:
    """Print a table; return 1 if anything crashed."""
    options = parse()
    if options.child:
        print(json.dumps(run_reader(options.child, options.count, options.seed)))
        return 0
    names = options.only or list(READERS)
    print(f"{'reader':<22}" + "".join(f"{kind:>9}" for kind in KINDS) + "  slowest s  grown MB")
    total, crashes = Counter[str](), []
    for name in names:
        found = in_child(name, options.count, options.seed)
        total.update(found["counts"])
        crashes += [f"{name}: {text}" for text in found["crashes"]]
        counts = "".join(f"{found['counts'].get(kind, 0):>9}" for kind in KINDS)
        print(f"{name:<22}{counts}{found['slowest']:>11.2f}{found['grown']:>10.0f}", flush=True)
    print(f"{'all':<22}" + "".join(f"{total[kind]:>9}" for kind in KINDS))
    for text, times in Counter(crashes).most_common():
        print(f"{times} x {text}")
    return 1 if total["crash"] else 0


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=270, help="documents for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=READERS, help="these readers")
    parser.add_argument("--child", choices=READERS, help=argparse.SUPPRESS)
    return parser.parse_args()


def in_child(name: str, count: int, seed: int) -> dict[str, Any]:
    """Run one reader in a process of its own; one that ends early is a crash."""
    command = [
        sys.executable,
        __file__,
        "--child",
        name,
        "--count",
        str(count),
        "--seed",
        str(seed),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (subprocess.TimeoutExpired, LookupError, ValueError) as error:
        text = f"the process ended early ({error})"
        return {"counts": {"crash": 1}, "crashes": [text], "slowest": 0.0, "grown": 0.0}


def run_reader(name: str, count: int, seed: int) -> dict[str, Any]:
    """Let one reader read damaged documents."""
    reader, rng, outcome, slowest = READERS[name], Random(f"{name} {seed}"), Outcome(), 0.0
    with tempfile.TemporaryDirectory() as temporary, own_folders(Path(temporary)):
        path = reader.make(Path(temporary))
        sound = path.read_bytes()
        try_one(reader, path, sound, Outcome())  # what it imports is no memory of a document
        bound()
        before = grown_to()
        for _ in range(count):
            content = damaged(sound, reader.form, rng)
            begin = time.perf_counter()
            signal.alarm(DOCUMENT_SECONDS)
            try_one(reader, path, content, outcome)
            signal.alarm(0)
            slowest = max(slowest, time.perf_counter() - begin)
    grown = grown_to() - before
    counts, crashes = dict(outcome.counts), outcome.crashes
    return {"counts": counts, "crashes": crashes, "slowest": slowest, "grown": grown}


def bound() -> None:
    """Bound memory, and the time that a document may take."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES,) * 2)
    signal.signal(signal.SIGALRM, too_slow)


def too_slow(*_: object) -> None:
    """End a document that takes too long."""
    message = f"not read within {DOCUMENT_SECONDS} s"
    raise RuntimeError(message)


def grown_to() -> float:
    """Return the most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    raise SystemExit(main())
