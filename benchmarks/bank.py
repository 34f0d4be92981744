"""What an embedding costs on the disk: bytes, files, writing and random reading, by way of storing.

``python benchmarks/bank.py FOLDER [--starter] [--rows 192]`` takes real labelled slices, embeds 16
of them (with the starter, or a ViT-B of seeded random weights), and stores `rows` embeddings, these
again and again, in every way. All reads are of one random row, the ways in turn;
"cold" is after the system was told to forget the file. The bank's bytes are all of its files: with
labels, thumbnails, scales, tables and plan, which the other ways do not have.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from real_slices import chosen, embed, header_of, load, ready_rows

from napari_samri.embeddings.bank import Bank, BankRow, PartPlan, create_bank, create_part
from napari_samri.embeddings.bank.arrays import from_int8, to_half, to_int8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

EMBEDDED = 16
FILES_FOR = 10_000


@dataclass
class Rows:
    """What is stored: embeddings in fp32, and the slices that they are of."""

    manifest: Any
    embedded: list[NDArray]
    slices: dict[int, Any]

    def embedding(self, row: int) -> NDArray:
        """Return the embedding of a row."""
        return self.embedded[row % len(self.embedded)]

    def content(self, row: int) -> BankRow:
        """Return a row as the bank takes it."""
        item, half = self.slices[row], to_half(self.embedding(row))
        return BankRow({"image": half}, item.thumb, item.labels, item.key)


class Way(ABC):
    """A way to store embeddings."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    @abstractmethod
    def write(self, rows: Rows, count: int) -> Iterator[float]:
        """Store rows and yield the seconds that each call took."""

    @abstractmethod
    def read(self, row: int) -> Any:
        """Return the embedding as it is stored."""

    @abstractmethod
    def read_fp32(self, row: int) -> NDArray:
        """Return the embedding in fp32."""

    @abstractmethod
    def path(self, row: int) -> Path:
        """Return the file of a row's embedding."""

    def files_for(self, count: int) -> int:
        """Return how many files so many rows take."""
        return count

    def bytes(self) -> int:
        """Return the bytes of all files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


class OneFile(Way):
    """One file per slice."""

    suffix = ".npy"

    def write(self, rows: Rows, count: int) -> Iterator[float]:
        for row in range(count):
            embedding = rows.embedding(row)
            begin = time.perf_counter()
            self.save(self.path(row), embedding)
            yield time.perf_counter() - begin

    def path(self, row: int) -> Path:
        return self.folder / f"{row:06d}{self.suffix}"

    def save(self, path: Path, embedding: NDArray) -> None:
        raise NotImplementedError


class Compressed(OneFile):
    """As SAMRI's preparation script does it."""

    name = "npz, compressed fp32"
    suffix = ".npz"

    def save(self, path: Path, embedding: NDArray) -> None:
        np.savez_compressed(path, embedding=embedding)

    def read(self, row: int) -> NDArray:
        with np.load(self.path(row)) as file:
            return file["embedding"]

    read_fp32 = read


class Half(OneFile):
    name = "npy, fp16"

    def save(self, path: Path, embedding: NDArray) -> None:
        np.save(path, to_half(embedding))

    def read(self, row: int) -> NDArray:
        return np.load(self.path(row))

    def read_fp32(self, row: int) -> NDArray:
        return self.read(row).astype(np.float32)


class Int8(OneFile):
    name = "npz, int8, plain"
    suffix = ".npz"

    def save(self, path: Path, embedding: NDArray) -> None:
        values, scale = to_int8(to_half(embedding))
        np.savez(path, values=values, scale=scale)

    def read(self, row: int) -> Any:
        with np.load(self.path(row)) as file:
            return file["values"], file["scale"]

    def read_fp32(self, row: int) -> NDArray:
        return from_int8(*self.read(row))


class InBank(Way):
    """The bank; one call writes a shard of 64 rows."""

    bank: Bank

    def __init__(self, folder: Path, name: str, header: Any) -> None:
        self.folder = folder
        self.name = name
        self.header = header

    def write(self, rows: Rows, count: int) -> Iterator[float]:
        create_bank(self.folder, self.header)
        part = create_part(self.folder, PartPlan.of(self.header, rows.manifest))
        for shard in range(part.plan.shards):
            mine = part.plan.rows_of(shard)
            stored = {row: rows.content(row) for row in mine}
            begin = time.perf_counter()
            part.write_shard(shard, stored)
            yield (time.perf_counter() - begin) / len(mine)
        part.seal()
        self.bank = Bank(self.folder)

    def read(self, row: int) -> Any:
        return self.bank.stored(row)

    def read_fp32(self, row: int) -> NDArray:
        return self.bank.embedding(row)

    def path(self, row: int) -> Path:
        return self.bank.parts[0].shard_path("emb", row // 64)

    def files_for(self, count: int) -> int:
        files = sum(path.is_file() for path in self.folder.rglob("*"))
        arrays = 5 if self.header.is_int8 else 4
        return files + arrays * (-(-count // 64) - self.bank.parts[0].plan.shards)

    def part_bytes(self, name: str) -> int:
        """Return the bytes of an array."""
        return sum(path.stat().st_size for path in (self.bank.parts[0].path / name).iterdir())


def forget(path: Path) -> None:
    """Tell the system to drop a file from its memory."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def read_times(
    ways: list[Way], count: int, repeats: int, read: Callable[[Way, int], Any], cold: bool
) -> list[float]:
    """Return the median milliseconds of reading a random row in each way, taken in turn."""
    times: list[list[float]] = [[] for _ in ways]
    rng = np.random.default_rng(1)
    for _ in range(repeats):
        row = int(rng.integers(count))
        for way, taken in zip(ways, times, strict=True):
            if cold:
                forget(way.path(row))
            else:
                read(way, row)
            begin = time.perf_counter()
            read(way, row)
            taken.append(1e3 * (time.perf_counter() - begin))
    return [median(taken) for taken in times]


def relative_error(way: Way, rows: Rows) -> float:
    """Return the relative L2 error of a few rows."""
    errors = []
    for row in range(EMBEDDED):
        truth = rows.embedding(row)
        errors.append(np.linalg.norm(way.read_fp32(row) - truth) / np.linalg.norm(truth))
    return float(np.mean(errors))


def prepare_rows(folder: Path, starter: bool, count: int) -> tuple[Rows, dict[str, Any]]:
    """Embed a few slices, and read all."""
    model = load(starter)
    manifest = chosen(folder, count)
    headers = {name: header_of(model, name) for name in ("float16", "int8")}
    plan = PartPlan.of(headers["float16"], manifest)
    step = -(-plan.rows // EMBEDDED)
    embedded, slices = [], {}
    for item in ready_rows(model, manifest, plan, range(plan.rows)):
        slices[item.row] = replace(item, input_image=None)
        if item.row % step == 0:
            embedded.append(embed(model, item))
    return Rows(manifest, embedded, slices), headers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--starter", action="store_true", help="instead of ViT-B")
    parser.add_argument("--rows", type=int, default=192)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows, headers = prepare_rows(options.folder, options.starter, options.rows)
    count = rows.manifest.rows
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        ways: list[Way] = [
            Compressed(place / "npz"),
            Half(place / "npy"),
            Int8(place / "int8"),
            InBank(place / "fp16.zarr", "bank, fp16 + lz4", headers["float16"]),
            InBank(place / "int8.zarr", "bank, int8 + zstd", headers["int8"]),
        ]
        writes = [1e3 * median(way.write(rows, count)) for way in ways]
        os.sync()
        report(ways, rows, writes, options.repeats)


def report(ways: list[Way], rows: Rows, writes: list[float], repeats: int) -> None:
    """Measure the reading, and print the table and the ratios."""
    count = rows.manifest.rows
    warm = read_times(ways, count, repeats, lambda way, row: way.read(row), cold=False)
    fp32 = read_times(ways, count, repeats, lambda way, row: way.read_fp32(row), cold=False)
    cold = read_times(ways, count, repeats, lambda way, row: way.read(row), cold=True)
    shape = rows.embedded[0].shape
    print(f"\n{count} embeddings {shape}, {len(rows.embedded)} different slices; medians")
    print(
        f"{'':22}{'KiB/slice':>10}{'of npz':>8}{'files/10k':>10}{'write':>8}"
        f"{'warm':>8}{'x npz':>7}{'to fp32':>8}{'x npz':>7}{'cold':>8}{'rel. L2':>9}"
    )
    first = ways[0].bytes()
    for k, way in enumerate(ways):
        size = way.bytes()
        print(
            f"{way.name:22}{size / count / 1024:10.0f}{size / first:8.3f}"
            f"{way.files_for(FILES_FOR):10}{writes[k]:8.1f}{warm[k]:8.2f}{warm[0] / warm[k]:7.1f}"
            f"{fp32[k]:8.2f}{fp32[0] / fp32[k]:7.1f}{cold[k]:8.2f}{relative_error(way, rows):9.1e}"
        )
    for way in ways:
        if isinstance(way, InBank):
            kib = {n: way.part_bytes(n) / count / 1024 for n in ("emb", "labels", "thumb")}
            print(f"{way.name}: " + ", ".join(f"{n} {size:.1f} KiB" for n, size in kib.items()))


if __name__ == "__main__":
    main()
