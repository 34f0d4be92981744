"""What a flipped bit does: whether it is seen, harmless, or gives other numbers without a word.

``python benchmarks/bit_flips.py [FLIPS]`` flips one bit at a time in made-up banks, a tuned
decoder, the state of a run, a cached embedding and a checkpoint of PyTorch. File, byte and bit are
drawn with a seed, the file first, so that small files are hit as often as large ones. "Seen" means
refused, told of by ``bank verify``, or taken for missing (cache); "harmless" that everything that
is read is equal; all else is "unseen".
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from made_up_files import CASES

from napari_samri.errors import SamriError

if TYPE_CHECKING:
    from collections.abc import Callable


def outcome(read: Callable[[], Any], expected: Any) -> str:
    """Return what a flip has led to."""
    try:
        found = read()
    except SamriError:
        return "seen"
    except Exception as error:  # noqa: BLE001  # every other error is what is looked for
        return f"crash ({type(error).__name__})"
    if found is None:
        return "seen"
    return "harmless" if same(found, expected) else "unseen"


def same(one: Any, other: Any) -> bool:
    """Tell whether two trees of arrays and values are equal, bit for bit."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    return bool(one == other)


def flip(path: Path, rng: np.random.Generator) -> bytes:
    """Flip a bit of a file; return its content before."""
    content = path.read_bytes()
    changed = bytearray(content)
    changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    path.write_bytes(changed)
    return content


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("flips", type=int, nargs="?", default=100, help="of each kind of file")
    flips = parser.parse_args().flips
    warnings.simplefilter("ignore")
    logging.disable()
    print("| what | flips | seen | harmless | unseen | crash |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, make in CASES.items():
        rng = np.random.default_rng(5)
        counts: Counter[str] = Counter()
        missed: defaultdict[str, Counter[str]] = defaultdict(Counter)
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            read = make(root)
            expected = read()
            files = sorted(path for path in root.rglob("*") if path.is_file())
            for _ in range(flips):
                path = files[int(rng.integers(len(files)))]
                before = flip(path, rng)
                result = outcome(read, expected)
                path.write_bytes(before)
                counts[result.split()[0]] += 1
                if result != "seen":
                    missed[result][path.relative_to(root).as_posix()] += 1
        row = [counts[k] for k in ("seen", "harmless", "unseen", "crash")]
        print(f"| {name} | {flips} | {' | '.join(map(str, row))} |")
        for result, places in missed.items():
            print(f"    {result}: {dict(places)}")


if __name__ == "__main__":
    main()
