"""How fast a decoder trains from a bank, against two other ways, with ViT-B of random weights.

``python benchmarks/training.py FOLDER [--slices 12] [--batch 16]`` embeds some slices of a folder
of NAME_img.nii.gz and NAME_seg.nii.gz, and measures in turns, in one process:

- an epoch from the bank, and one from images, whose encoder runs each time;
- what the loader delivers, against one compressed npz per slice, a mask of which is drawn at
  random, as SAMRI stores and draws them;
- the whole loop, against a plain one over such files with the library's own modules, a sample at
  a time through the decoder;
- the peak memory of the loop from the bank.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from random_vit_b import save_vit_b

from napari_samri.batch import EmbedConfig, embed_bank
from napari_samri.datasets import Rules, prepare, write_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.jobs.ahead import run_ahead
from napari_samri.sam.losses import dice_loss, focal_loss
from napari_samri.segment.loading import LoadedModel, load_model
from napari_samri.training import TrainConfig, find_objective
from napari_samri.training.decoder import PromptedDecoder
from napari_samri.training.optimise import Optimiser
from napari_samri.training.pairs import pairs_of
from napari_samri.training.plan import EpochPlan, Group, micro_batches
from napari_samri.training.prompts import numbers_needed, tight_boxes
from napari_samri.training.ranks import Ranks
from napari_samri.training.source import BankSource

ROUNDS = 3


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


class FromBank:
    """Our loop."""

    def __init__(self, bank: Bank, model: LoadedModel, config: TrainConfig) -> None:
        pairs = pairs_of(bank, "train")
        self.plan = EpochPlan(
            pairs.row, pairs.label, pairs.dataset, batch=config.batch, masks_per_slice=4
        )
        self.source = BankSource(bank, torch.device("cpu"))
        self.optimiser = Optimiser(PromptedDecoder(model), config, Ranks())
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

    def __init__(self, folder: Path, slices: int, model: LoadedModel, batch: int) -> None:
        self.folder, self.slices, self.batch = folder, slices, batch
        self.network = model.network
        self.adam = torch.optim.AdamW(self.network.mask_decoder.parameters(), 1e-5)

    def samples(self, epoch: int, count: int) -> object:
        generator = np.random.default_rng(epoch)
        for _ in range(count):
            with np.load(self.folder / f"{generator.integers(self.slices)}.npz") as file:
                labels = file["labels"]
                label = generator.choice(np.unique(labels[labels > 0]))
                yield torch.from_numpy(file["embedding"]), torch.from_numpy(labels == label)[None]

    def load(self, epoch: int, count: int) -> int:
        return sum(1 for _ in self.samples(epoch, count))

    def train(self, epoch: int, count: int) -> int:
        for number, (embedding, mask) in enumerate(self.samples(epoch, count), 1):
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
            target = mask.float()
            loss = 20 * focal_loss(logits[:, 0], target, -1) + dice_loss(logits[:, 0], target)
            (loss.sum() / self.batch).backward()
            if number % self.batch == 0 or number == count:
                self.adam.step()
                self.adam.zero_grad()
        return count


def seconds(work: object, *arguments: int) -> tuple[float, int]:
    begin = time.perf_counter()
    done = work(*arguments)
    return time.perf_counter() - begin, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint = save_vit_b(folder)
        path, encoding = make_bank(options.data, folder, str(checkpoint), options.slices)
        bank = Bank(path)
        make_files(bank, folder / "files")
        config = TrainConfig(
            bank=path,
            out=folder / "run",
            batch=options.batch,
            micro_batch=options.micro_batch,
            objective=find_objective("samri-bp"),
        )
        ours = FromBank(bank, load_model(checkpoint, "cpu"), config)
        plain = FromFiles(folder / "files", len(bank), load_model(checkpoint, "cpu"), options.batch)
        plain.network.mask_decoder.requires_grad_(True)
        report(ours, plain, len(bank), encoding)


def report(ours: FromBank, plain: FromFiles, slices: int, encoding: float) -> None:
    times: dict[str, list[float]] = {"load": [], "files": [], "train": [], "plain": []}
    peak = 0
    for epoch in range(ROUNDS):
        spent, masks = seconds(ours.load, epoch)
        times["load"].append(masks / spent)
        spent, count = seconds(plain.load, epoch, 2 * slices)
        times["files"].append(count / spent)
        spent, masks = seconds(ours.train, epoch)
        times["train"].append(masks / spent)
        if not peak:  # before the plain loop, which needs more
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        spent, count = seconds(plain.train, epoch, min(masks, 32))
        times["plain"].append(count / spent)
    rate = {name: statistics.median(values) for name, values in times.items()}
    epoch = ours.plan.samples / rate["train"]
    print(f"{slices} slices, {ours.plan.samples} masks, encoder {encoding:.2f} s a slice")
    print(
        f"epoch from the bank {epoch:.1f} s, from images {epoch + slices * encoding:.1f} s: "
        f"{1 + slices * encoding / epoch:.1f} x"
    )
    for title, mine, other in (("loader", "load", "files"), ("whole loop", "train", "plain")):
        print(
            f"{title}: {rate[mine]:.1f} masks/s against {rate[other]:.1f} from files: "
            f"{rate[mine] / rate[other]:.1f} x"
        )
    print(f"peak memory {peak / 2**20:.2f} GiB, embedding the slices included")


if __name__ == "__main__":
    main()
