"""The parts of a run at work: epochs, memory that runs out, validation, saving."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from napari_samri.jobs import Noted, run_ahead
from napari_samri.models import DECODER_PREFIX, read_checkpoint, write_decoder
from napari_samri.training.plan import micro_batches, share_of
from napari_samri.training.state import FILE, save_state
from napari_samri.training.step import numbers_needed
from napari_samri.training.validate import mean_dice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from napari_samri.embeddings.bank import Bank
    from napari_samri.jobs import Cancel
    from napari_samri.models import DecoderCard, LoadedModel
    from napari_samri.training.config import TrainConfig
    from napari_samri.training.optimise import Optimiser, StepSums
    from napari_samri.training.plan import EpochPlan, Group
    from napari_samri.training.ranks import Ranks
    from napari_samri.training.source import BankSource
    from napari_samri.training.state import RunState
    from napari_samri.training.validate import ValidationSet

T = TypeVar("T")

_READ_AHEAD = 3
# What torch says on Linux, on Windows, and on Apple's GPUs.
_NO_MEMORY = ("can't allocate memory", "not enough memory", "backend out of memory")
SAVE_SECONDS = 60.0


@dataclass(eq=False)
class Run:
    """A run that has been opened.

    Parameters
    ----------
    untouched : ValidationSet
        What no choice is made on: looked at once, at the end.
    identity : str
        What has to be the same for the run to be gone on with.
    stopping : bool
        Whether a stop was requested on any rank.
    micro_batch : int
        Masks at once; halved when memory runs out.
    shown : float
        When curves and preview were last drawn, on the clock of `time.monotonic`.
    """

    config: TrainConfig
    ranks: Ranks
    bank: Bank
    model: LoadedModel
    source: BankSource
    optimiser: Optimiser
    plan: EpochPlan
    validation: dict[str, ValidationSet]
    untouched: ValidationSet
    card: DecoderCard
    identity: str
    state: RunState
    cancel: Cancel
    stopping: bool = False
    micro_batch: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    shown: float = -math.inf
    _validating: float = 0.0
    _in_step: bool = False
    _trained: int = 0
    _saved: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.micro_batch = self.micro_batch or self.config.micro_batch

    def train_epoch(self) -> Iterator[int]:
        """Do the batches of an epoch that are left; yield the masks done in all so far."""
        self.optimiser.set_epoch(self.state.epoch)
        batches = self.plan.batches(self.state.epoch)
        per_sample = numbers_needed(self.config.objective.n_steps)
        numbers = self.plan.numbers(self.state.epoch, per_sample)
        done = self.state.epoch * self.plan.samples
        done += sum(_masks(batch) for batch in batches[: self.state.batch])
        while self.state.batch < len(batches) and not self.stopping:
            try:
                for count in self._train_batches(batches, numbers):
                    done += count
                    yield done
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                self._make_room(error)

    def _train_batches(self, batches: list[list[Group]], numbers: Any) -> Iterator[int]:
        begin = time.perf_counter()
        reads = run_ahead(self._reads(batches), _READ_AHEAD)
        sums = self.optimiser.begin()
        try:
            for piece, read in reads:
                if piece:
                    self._add(sums, piece, read, numbers)
                    continue
                self._in_step = True
                loss, self.stopping, taken = self.optimiser.finish(
                    sums, stop=self.cancel(), name_of=self._name_of
                )
                self._in_step = False
                if not taken:
                    return
                count = _masks(batches[self.state.batch])
                self.state.loss_sum += loss
                self.state.batch += 1
                self.seconds += time.perf_counter() - begin
                self._trained += count
                begin = time.perf_counter()
                self._save_now_and_then()
                yield count
                if self.stopping:
                    return
                sums = self.optimiser.begin()
        finally:
            reads.close()

    def _add(self, sums: StepSums, piece: list[Group], read: Any, numbers: Any) -> None:
        """Learn a piece of a batch, unless a stop was requested: the batch is then repeated."""
        sums.left = sums.left or self.cancel()
        if sums.left:
            return
        samples = self.source.to_samples(read, numbers)
        if samples is not None:
            self.optimiser.add(sums, samples, piece, self.cancel)

    def _reads(self, batches: list[list[Group]]) -> Iterator[tuple[list[Group], Any]]:
        """Yield the pieces of this rank's share of each batch, and an empty one at its end."""
        for batch in batches[self.state.batch :]:
            mine = share_of(batch, self.ranks.rank, self.ranks.ranks)
            for piece in micro_batches(mine, self.micro_batch):
                yield piece, self.source.read(piece)
            yield [], None

    def _make_room(self, error: BaseException) -> None:
        """Halve what is computed at once after memory ran out; let all other errors pass.

        Those of the optimiser's own step too, which cannot be taken once more: weights may have
        moved, and other ranks wait for this one's gradients.
        """
        if not is_out_of_memory(error) or self.micro_batch == 1 or self._in_step:
            raise error
        self.micro_batch = max(1, self.micro_batch // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.notes.append(
            f"memory ran out: {self.micro_batch} masks at once from now on, added up to the same "
            "batch"
        )

    def told(self) -> Iterator[Noted]:
        """Yield what there is to note, once."""
        while self.notes:
            yield Noted(text=self.notes.pop(0))

    @property
    def epoch_loss(self) -> float:
        """Mean loss of the batches of this epoch."""
        return self.state.loss_sum / max(1, self.state.batch)

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or validation has not got better for long enough."""
        return self.state.epoch >= self.config.epochs or self.out_of_patience

    @property
    def out_of_patience(self) -> bool:
        """Whether validation has not got better for long enough."""
        patience = self.config.patience
        return 0 < patience <= self.state.validated - self.state.best_epoch

    @property
    def validates_now(self) -> bool:
        """Whether this epoch is judged at its end: always, where there is no split to do so on."""
        if not any(chosen.groups for chosen in self.validation.values()):
            return True
        epoch = self.state.epoch + 1
        return epoch % self.config.validate_every == 0 or epoch == self.config.epochs

    def count_epoch(self) -> None:
        """Go on to the next epoch."""
        self.state.epoch += 1
        self.state.batch, self.state.loss_sum = 0, 0.0

    def validated(self) -> dict[str, float] | None:
        """Return the mean Dice on each split that has masks, or None after a request to stop.

        It is not counted then: some masks were not looked at.
        """
        begin = time.perf_counter()
        found: dict[str, float] = {}
        for split, chosen in self.validation.items():
            if chosen.groups:
                dice = self.with_room(partial(self._dice_on, chosen))
                if dice is None:
                    self.stopping = True
                    return None
                found[split] = dice
        self._validating = time.perf_counter() - begin
        return found

    def save_best(self, split: str, dice: Mapping[str, float]) -> None:
        """Write the decoder as it is now, by the first rank, with its own Dice on each split.

        Raises
        ------
        StoreError
            If the disk refuses; the one before is still there.
        """
        if not self.ranks.first:
            return
        scores = {f"dice, {name}": round(value, 4) for name, value in dice.items()}
        card = replace(self.card, epochs=self.state.epoch + 1, scores=scores)
        tensors = self.model.network.trainable.state_dict()
        write_decoder(best_path(self.config.out, split), tensors, card)

    def tested(self) -> float | None:
        """Return the Dice of the decoder that was best on zero-shot, where nothing was chosen.

        None if there is no such decoder or split, or a stop was requested.
        """
        path = best_path(self.config.out, "zero-shot")
        (there,) = self.ranks.sum_numbers([float(path.exists())])
        if not self.untouched.groups or there < self.ranks.ranks:
            return None
        decoder = self.model.network.trainable
        as_trained = {name: value.clone() for name, value in decoder.state_dict().items()}
        best = read_checkpoint(path).tensors
        decoder.load_state_dict({name: best[DECODER_PREFIX + name] for name in as_trained})
        dice = self.with_room(partial(self._dice_on, self.untouched))
        decoder.load_state_dict(as_trained)
        self.stopping = dice is None
        return dice

    def with_room(self, action: Callable[[], T]) -> T:
        """Do something once more, with less at once, whenever memory runs out on the way."""
        while True:
            try:
                return action()
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                self._make_room(error)

    def _name_of(self, row: int) -> str:
        study, entry = self.bank.slice_of(row)
        return (
            f"row {row} of the bank (slice {entry.index} along axis {study.axis} of {study.image})"
        )

    def _dice_on(self, chosen: ValidationSet) -> float | None:
        return mean_dice(
            self.model.network,
            self.source,
            chosen,
            self.config.objective,
            self.micro_batch,
            self.ranks,
            self.cancel,
        )

    def save(self) -> None:
        """Save the state, by the first rank."""
        self._saved = time.monotonic()
        if self.ranks.first:
            save_state(self.config.out / FILE, self.state, self.optimiser, self.identity)

    def seconds_left(self) -> float | None:
        """Guess how long the rest takes."""
        if not self._trained:
            return None
        done = self.state.epoch * self.plan.samples + self.state.batch * self.config.batch
        left = max(0, self.config.epochs * self.plan.samples - done)
        validations = (self.config.epochs - self.state.epoch) / self.config.validate_every
        return self.seconds / self._trained * left + self._validating * validations

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()


def best_path(out: Path, split: str) -> Path:
    """Return where the decoder that was best on a split is kept."""
    name = "best" if split in {"validation", "train"} else f"best-{split}"
    return out / f"{name}.safetensors"


def _masks(groups: list[Group]) -> int:
    return sum(len(group.labels) for group in groups)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out: beside CUDA, torch has no class of its own for it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_MEMORY)
