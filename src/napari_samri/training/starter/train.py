"""Train the starter model from nothing but made-up slices.

Run ``python -m napari_samri.training.starter.train --out RUN``; run it again to go on after a stop.
A run is a pure function of its seed, up to the arithmetic of the device.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.utils.data import DataLoader

from napari_samri.models import PromptBatch, read_checkpoint
from napari_samri.models.starter import (
    StarterConfig,
    StarterNetwork,
    build_starter,
    resize_network,
    save_starter,
)
from napari_samri.simulate import tight_boxes
from napari_samri.training.losses import mask_dice
from napari_samri.training.starter.affinity import Affinity
from napari_samri.training.starter.objective import ObjectiveConfig, batch_loss
from napari_samri.training.starter.samples import Batch, Stage, SyntheticBatches
from napari_samri.training.starter.state import load_state, save_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

# Prompts are learned on small images, where a step is cheap, and on easy ones; then both grow.
DEFAULT_STAGES = (
    Stage(size=128, images=16, steps=3000, difficulty=(0.0, 0.6)),
    Stage(size=256, images=8, steps=4000, difficulty=(0.3, 1.0)),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that a run depends on, beside the code.

    Parameters
    ----------
    stages : tuple of Stage
    targets : int
        Objects per slice.
    learning_rate, final_rate : float
        Peak and last learning rate of a cosine schedule.
    warm_up : int
        Steps of linear warm-up.
    weight_decay : float
        Not applied to biases, norms and embeddings.
    average : float
        Decay per step of the exponential moving average that is exported.
    bfloat16 : bool
        Run the networks under bfloat16 autocast.
    seed : int
    """

    stages: tuple[Stage, ...] = DEFAULT_STAGES
    targets: int = 4
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    learning_rate: float = 3e-4
    final_rate: float = 1e-5
    warm_up: int = 300
    weight_decay: float = 0.05
    average: float = 0.998
    bfloat16: bool = False
    seed: int = 2026

    def rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        total = sum(stage.steps for stage in self.stages)
        if step < self.warm_up:
            return self.learning_rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, total - self.warm_up)
        swing = 0.5 * (1 + math.cos(math.pi * done))
        return self.final_rate + (self.learning_rate - self.final_rate) * swing


class Trainer:
    """One training run: its network, its averaged weights and its optimiser."""

    def __init__(self, config: StarterConfig, recipe: Recipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.config = config
        self.recipe = recipe
        self.device = device
        self.network = StarterNetwork(config).to(device)
        self.affinity = Affinity(config.embedding_channels).to(device)
        self.learned = nn.ModuleDict({"network": self.network, "affinity": self.affinity})
        self.optimizer = torch.optim.AdamW(
            _decay_groups(self.learned, recipe.weight_decay), betas=(0.9, 0.95)
        )
        self.averaged = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.step = 0

    def start_from(self, path: Path) -> None:
        """Take the weights of a starter file with the same architecture."""
        weights = build_starter(read_checkpoint(path)).state_dict()
        self.network.load_state_dict(weights)
        for name, value in self.averaged.items():
            value.copy_(weights[name])

    def train_step(self, batch: Batch) -> float:
        """Take one optimiser step; return the loss."""
        resize_network(self.network, batch.images.shape[-1])
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        batch = Batch(*(tensor.to(self.device) for tensor in batch))
        with self._autocast():
            loss = batch_loss(self.network, self.affinity, batch, self.recipe.objective, generator)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learned.parameters(), 1.0)
        self.optimizer.step()
        self._update_average()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def validate(self, batches: Sequence[Batch]) -> float:
        """Return the mean Dice of the averaged weights with tight boxes."""
        network = StarterNetwork(self.config).to(self.device).eval()
        network.load_state_dict(self.averaged)
        scores = []
        for batch in batches:
            resize_network(network, batch.images.shape[-1])
            truth = batch.targets.flatten(0, 1).to(self.device)
            features = network.encode(batch.images.to(self.device))
            logits, _ = network.decode(features, PromptBatch.of(boxes_input=tight_boxes(truth)))
            scores.append(mask_dice(logits[:, 0] > 0, truth))
        return float(torch.cat(scores).mean())

    def export(self, path: Path) -> None:
        """Write the averaged weights as a starter file."""
        recipe = json.dumps(asdict(self.recipe) | {"steps_done": self.step})
        save_starter(path, self.config, self.averaged, recipe)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.bfloat16)

    @torch.no_grad()
    def _update_average(self) -> None:
        # A young average follows the weights more closely than the final decay would.
        decay = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            self.averaged[name].lerp_(value, 1 - decay)


def train(
    trainer: Trainer, out: Path, *, workers: int, report_every: int
) -> Iterator[dict[str, float]]:
    """Run to the end of the plan, yielding a report now and then; state is saved at each."""
    recipe = trainer.recipe
    batches = SyntheticBatches(recipe.stages, recipe.targets, recipe.seed)
    loader: DataLoader[Batch] = DataLoader(
        batches,
        batch_size=None,
        sampler=range(trainer.step, len(batches)),
        num_workers=workers,
    )
    losses: list[float] = []
    begin = time.monotonic()
    for batch in loader:
        losses.append(trainer.train_step(batch))
        last = trainer.step == len(batches)
        if last or trainer.step % report_every == 0:
            size = batch.images.shape[-1]
            held_out = SyntheticBatches(
                (Stage(size=size, images=16, steps=3),), recipe.targets, recipe.seed + 1
            )
            dice = trainer.validate([held_out[k] for k in range(3)])
            trainer.export(out / "starter.safetensors")
            save_state(
                out / "state.safetensors",
                trainer.step,
                trainer.learned,
                trainer.averaged,
                trainer.optimizer,
            )
            yield {
                "step": trainer.step,
                "size": size,
                "loss": sum(losses) / len(losses),
                "dice": dice,
                "seconds": time.monotonic() - begin,
            }
            losses.clear()


def _decay_groups(network: nn.Module, decay: float) -> list[dict[str, object]]:
    decayed: list[torch.nn.Parameter] = []
    plain: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        is_matrix = parameter.ndim > 1 and "embed" not in name and "token" not in name
        (decayed if is_matrix else plain).append(parameter)
    return [
        {"params": decayed, "weight_decay": decay},
        {"params": plain, "weight_decay": 0.0},
    ]


def _stages(text: str) -> tuple[Stage, ...]:
    """Read ``64x16x3500@0:1,128x12x2200`` as stages of size x images x steps @ difficulty."""
    stages = []
    for part in text.split(","):
        numbers, _, levels = part.partition("@")
        size, images, steps = (int(number) for number in numbers.split("x"))
        first, last = (float(level) for level in (levels or "1:1").split(":"))
        stages.append(Stage(size=size, images=images, steps=steps, difficulty=(first, last)))
    return tuple(stages)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="napari_samri.training.starter.train", description=__doc__
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--stages", type=_stages, default=DEFAULT_STAGES)
    parser.add_argument("--initial", type=Path, help="starter file to begin with")
    parser.add_argument("--targets", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--warm-up", type=int, default=Recipe.warm_up, help="in steps")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--report-every", type=int, default=250)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, or go on with the run in ``--out``; killed, it keeps the state of its last report."""
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(
        stages=options.stages,
        targets=options.targets,
        learning_rate=options.learning_rate,
        warm_up=options.warm_up,
        seed=options.seed,
        bfloat16=options.bfloat16,
    )
    trainer = Trainer(StarterConfig(), recipe, torch.device(options.device))
    state = options.out / "state.safetensors"
    if options.initial is not None and not state.exists():
        trainer.start_from(options.initial)
    if state.exists():
        trainer.step = load_state(state, trainer.learned, trainer.averaged, trainer.optimizer)
    log = options.out / "log.jsonl"
    for report in train(
        trainer, options.out, workers=options.workers, report_every=options.report_every
    ):
        with log.open("a") as file:
            file.write(json.dumps(report) + "\n")
        sys.stderr.write(f"{report}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
