"""How fast a decoder trains from a bank, against two other ways, with ViT-B of random weights.

``python benchmarks/training.py FOLDER [--slices 12] [--batch 16]`` embeds some slices of a folder
of NAME_img.nii.gz and NAME_seg.nii.gz, and measures in turns, each way in a process of its own:

- an epoch from the bank, and one from images, whose encoder runs each time;
- what the loader delivers, against one compressed npz per slice, a mask of which is drawn at
  random, as SAMRI stores and draws them;
- the whole loop, against a plain one over such files with the library's own modules, a sample at
  a time through the decoder and one backward pass per batch; once as Python runs it, and once
  with memory kept as our command line keeps it (`napari_samri.jobs.memory`);
- the peak memory of the loop from the bank.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from random_vit_b import save_vit_b

from napari_samri.datasets import Rules, prepare, write_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.jobs.ahead import run_ahead
from napari_samri.jobs.memory import keep_memory
from napari_samri.models.loading import load_model
from napari_samri.simulate import tight_boxes
from napari_samri.training import TrainConfig, find_objective
from napari_samri.training.losses import dice_loss, focal_loss
from napari_samri.training.optimise import Optimiser
from napari_samri.training.pairs import pairs_of
from napari_samri.training.plan import EpochPlan, Group, micro_batches
from napari_samri.training.ranks import Ranks
from napari_samri.training.source import BankSource
from napari_samri.training.step import numbers_needed
from napari_samri.work import EmbedConfig, embed_bank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection


def make_bank(data: Path, folder: Path, model: str, slices: int) -> tuple[Path, float]:
    """Embed so many slices; return the bank, and the encoder's seconds per slice."""
    manifest = prepare(data, Rules(train=1, validation=0, test=0))
    studies, left = [], slices
    for study in manifest.studies:
        # Evenly over studies, and those with several labels: as training sets have.
        kept = tuple(entry for entry in study.slices if len(entry.regions) > 2)[: min(2, left)]
        left -= len(kept)
        studies.append(replace(study, slices=kept))
    write_manifest(folder / "manifest.json", replace(manifest, studies=tuple(studies)))
    config = EmbedConfig(
        manifest=folder / "manifest.json", out=folder / "bank.zarr", model=model, device="cpu"
    )
    for event in embed_bank(config):
        last = event
    return config.out, last.details["encoding_seconds"] / last.details["slices"]


def make_files(bank: Bank, folder: Path) -> None:
    """Store a bank's embeddings as one compressed npz per slice."""
    folder.mkdir()
    for row in range(len(bank)):
        np.savez_compressed(
            folder / f"{row}.npz", embedding=bank.embedding(row)[None], labels=bank.labels(row)
        )


@dataclass(frozen=True)
class Task:
    """What all ways are given."""

    bank: Path
    files: Path
    checkpoint: Path
    batch: int
    micro_batch: int


class FromBank:
    """Our loop."""

    def __init__(self, task: Task) -> None:
        keep_memory()
        bank = Bank(task.bank)
        config = TrainConfig(
            bank=task.bank,
            out=task.bank.parent / "run",
            batch=task.batch,
            micro_batch=task.micro_batch,
            objective=find_objective("samri-bp"),
        )
        pairs = pairs_of(bank, "train")
        self.plan = EpochPlan(
            pairs.row, pairs.label, pairs.dataset, batch=config.batch, masks_per_slice=4
        )
        self.source = BankSource(bank, torch.device("cpu"))
        self.optimiser = Optimiser(load_model(task.checkpoint, "cpu").network, config, Ranks())
        self.numbers = self.plan.numbers(0, numbers_needed(config.objective.n_steps))
        self.micro = config.micro_batch

    def pieces(self, epoch: int) -> list[list[list[Group]]]:
        return [micro_batches(batch, self.micro) for batch in self.plan.batches(epoch)]

    def load(self, epoch: int) -> int:
        flat = [piece for batch in self.pieces(epoch) for piece in batch]
        reads = run_ahead(map(self.source.read, flat), 3)
        return sum(len(self.source.to_samples(read, self.numbers).truth) for read in reads)

    def train(self, epoch: int) -> int:
        done = 0
        for batch in self.pieces(epoch):
            sums = self.optimiser.begin()
            for piece, read in zip(batch, run_ahead(map(self.source.read, batch), 3), strict=True):
                self.optimiser.add(sums, self.source.to_samples(read, self.numbers), piece)
            self.optimiser.finish(sums)
            done += sums.masks
        return done


class FromFiles:
    """A plain loop over one file per slice: a random mask of each, one by one."""

    def __init__(self, task: Task) -> None:
        self.files = sorted(task.files.iterdir())
        self.batch = task.batch
        self.network = load_model(task.checkpoint, "cpu").network
        decoder = self.network.mask_decoder.requires_grad_(True)
        self.adam = torch.optim.AdamW(decoder.parameters(), 1e-5, weight_decay=0.1)

    def samples(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        generator = np.random.default_rng(epoch)
        for _ in range(2 * self.batch):
            with np.load(generator.choice(self.files)) as file:
                labels = file["labels"]
                label = generator.choice(np.unique(labels[labels > 0]))
                yield torch.from_numpy(file["embedding"]), torch.from_numpy(labels == label)[None]

    def load(self, epoch: int) -> int:
        return sum(1 for _ in self.samples(epoch))

    def train(self, epoch: int) -> int:
        done = 0
        for batch in batched(self.samples(epoch), self.batch):
            logits = torch.cat([self.answer(*sample) for sample in batch])
            target = torch.cat([mask for _, mask in batch]).float()
            loss = 20 * focal_loss(logits, target, -1) + dice_loss(logits, target)
            loss.mean().backward()
            self.adam.step()
            self.adam.zero_grad()
            done += len(batch)
        return done

    def answer(self, embedding: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        box = 4 * tight_boxes(mask)
        point = 4 * mask[0].nonzero()[mask.sum() // 2].flip(0).float()
        with torch.no_grad():
            sparse, dense = self.network.prompt_encoder(
                points=(point[None, None], torch.ones(1, 1)), boxes=box, masks=None
            )
        logits, _ = self.network.mask_decoder(
            image_embeddings=embedding,
            image_pe=self.network.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        return logits[:, 0]


class FromFilesKept(FromFiles):
    """The plain loop with our setting of the allocator."""

    def __init__(self, task: Task) -> None:
        keep_memory()
        super().__init__(task)


def batched(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while batch := list(itertools.islice(items, size)):
        yield batch


def peak_memory() -> float:
    """Return this process's peak in GiB; `getrusage` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def serve(pipe: Connection, way: type[FromBank | FromFiles], task: Task) -> None:
    """Run what is asked for, in this process; answer masks per second and peak memory in GiB."""
    loop = way(task)
    while (asked := pipe.recv()) is not None:
        work, epoch = asked
        begin = time.perf_counter()
        done = getattr(loop, work)(epoch)
        rate = done / (time.perf_counter() - begin)
        pipe.send((rate, done, peak_memory()))


class Way:
    """A way of training, in its process."""

    def __init__(self, way: type[FromBank | FromFiles], task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, end = context.Pipe()
        context.Process(target=serve, args=(end, way, task), daemon=True).start()
        self.rates: dict[str, list[float]] = {"load": [], "train": []}
        self.masks, self.peak = 0, 0.0

    def measure(self, work: str, epoch: int) -> None:
        self.pipe.send((work, epoch))
        rate, self.masks, self.peak = self.pipe.recv()
        if epoch:  # the first warms up
            self.rates[work].append(rate)

    def rate(self, work: str) -> float:
        return statistics.median(self.rates[work])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    keep_memory()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = save_vit_b(folder)
        path, encoding = make_bank(options.data, folder, str(checkpoint), options.slices)
        make_files(Bank(path), folder / "files")
        task = Task(path, folder / "files", checkpoint, options.batch, options.micro_batch)
        ways = [Way(way, task) for way in (FromBank, FromFiles, FromFilesKept)]
        for epoch in range(options.rounds + 1):
            for work in ("load", "train"):
                for way in ways:
                    way.measure(work, epoch)
        for way in ways:
            way.pipe.send(None)
        report(ways, len(Bank(path)), encoding)


def report(ways: list[Way], slices: int, encoding: float) -> None:
    ours, plain, kept = ways
    epoch = ours.masks / ours.rate("train")
    print(f"{slices} slices, {ours.masks} masks, encoder {encoding:.2f} s a slice")
    print(
        f"epoch from the bank {epoch:.1f} s, from images {epoch + slices * encoding:.1f} s: "
        f"{1 + slices * encoding / epoch:.1f} x"
    )
    for work, title in (("load", "loader"), ("train", "whole loop")):
        print(
            f"{title}: {ours.rate(work):.1f} masks/s against {plain.rate(work):.1f} from files: "
            f"{ours.rate(work) / plain.rate(work):.1f} x; with memory kept "
            f"{kept.rate(work):.1f}: {ours.rate(work) / kept.rate(work):.1f} x"
        )
    print(f"peak memory {ours.peak:.2f} GiB against {plain.peak:.2f}")


if __name__ == "__main__":
    main()
