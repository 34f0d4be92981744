"""A training run from its folder: begun, gone on with, stopped and finished."""

from __future__ import annotations

import json
import math
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_samri.atomic import remove_all_leftovers
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError, StoreError
from napari_samri.jobs import Event, Finished, Measured, Noted, Progressed, Started, Stopped, never
from napari_samri.models import card_of, load_model, resolve_device
from napari_samri.training.config import turned_bank
from napari_samri.training.curves import add_point, save_picture
from napari_samri.training.optimise import Optimiser
from napari_samri.training.pairs import UNTOUCHED, VALIDATION_SPLITS, split_pairs
from napari_samri.training.plan import EpochPlan
from napari_samri.training.preview import save_preview
from napari_samri.training.ranks import joined_ranks, own_device
from napari_samri.training.run import Run
from napari_samri.training.source import BankSource
from napari_samri.training.state import FILE, RunState, load_state
from napari_samri.training.validate import ValidationSet

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from napari_samri.jobs import Cancel
    from napari_samri.models import DecoderCard, LoadedModel
    from napari_samri.training.config import TrainConfig
    from napari_samri.training.pairs import Pairs
    from napari_samri.training.ranks import Ranks

    Before = Callable[[], Generator[Event, None, bool]]

LOCK = "run.lock"
SHOW_SECONDS = 5.0


def fit(
    config: TrainConfig, cancel: Cancel = never, *, before: Before | None = None
) -> Iterator[Event]:
    """Fine-tune a decoder on a bank, and tell how it goes.

    Killed or stopped, it goes on when it is called again with the same numbers, and ends with
    the same weights. In processes that torchrun has started, it trains on all of them.

    Parameters
    ----------
    config : TrainConfig
    cancel : callable
        Tells whether to stop.
    before : callable, optional
        Yields events of what has to be done first, in a folder that is then this run's alone,
        and returns whether to go on.

    Yields
    ------
    Event
        `Started`; `Progressed` by masks; `Measured` by epochs (``loss``, and ``dice`` of the
        validation and zero-shot splits); at last `Finished`, or `Stopped`.

    Raises
    ------
    InputError, ModelError, StoreError
        If bank, model or folder cannot be used, there is nothing to train on, the loss is not
        finite, or the disk refuses. What was saved before is kept.
    """
    device = own_device(resolve_device(config.device))
    with joined_ranks(device) as ranks, _own_folder(config.out, ranks):
        if before is None or (yield from before()):
            yield from _epochs(make_run(config, ranks, str(device), cancel))


def make_run(config: TrainConfig, ranks: Ranks, device: str, cancel: Cancel) -> Run:
    """Open bank and model, and go to where a run was."""
    bank = Bank(config.bank)
    model = load_model(config.model, device, family=config.family)
    bank.header.check_model(
        model.encoder, model.preprocessing.identity, model.spec.title, config.bank
    )
    splits = split_pairs(
        bank,
        split_slices=config.split_slices,
        components=config.components,
        least_pixels=config.objective.least_pixels,
    )
    pairs = splits["train"]
    _check_trainable(pairs, config)

    def chosen_of(split: str) -> ValidationSet:
        return ValidationSet.of(splits[split], config.validate_masks, config.masks_per_slice)

    optimiser = Optimiser(model.network, config, ranks)
    identity = json.dumps({**json.loads(config.identity()), "bank": bank.fingerprint})
    path = config.out / FILE
    state = load_state(path, optimiser, identity) if path.exists() else RunState()
    card = _first_card(config, model, bank, len(pairs))
    return Run(
        config=config,
        ranks=ranks,
        bank=bank,
        model=model,
        source=BankSource(bank, model.device, _turned_banks(config, bank)),
        optimiser=optimiser,
        plan=_plan_of(pairs, config),
        validation={split: chosen_of(split) for split in VALIDATION_SPLITS},
        untouched=chosen_of(UNTOUCHED),
        card=card,
        identity=identity,
        state=state,
        cancel=cancel,
        notes=_notes_on_points(card, model),
    )


def _first_card(config: TrainConfig, model: LoadedModel, bank: Bank, samples: int) -> DecoderCard:
    """Return the card of a run's decoders, but for what changes from epoch to epoch."""
    card = card_of(
        model,
        title=f"{model.spec.title}, tuned ({config.out.name})",
        objective=config.objective.as_dict(),
        trains_quality=config.objective.trains_quality,
    )
    return replace(card, bank=bank.fingerprint, seed=config.seed, samples=samples)


def _notes_on_points(card: DecoderCard, model: LoadedModel) -> list[str]:
    """Say so where points are shown to a decoder that has never seen any."""
    if model.spec.takes_points or not card.takes_points:
        return []
    return [
        f"{model.spec.title} was trained with boxes only: its decoder learns what points mean from "
        "this training alone"
    ]


def _plan_of(pairs: Pairs, config: TrainConfig) -> EpochPlan:
    return EpochPlan(
        pairs.row,
        pairs.label,
        pairs.dataset,
        batch=config.batch,
        masks_per_slice=config.masks_per_slice,
        quota=config.quota,
        seed=config.seed,
        copies=config.augment,
    )


def _turned_banks(config: TrainConfig, bank: Bank) -> list[Bank]:
    """Open the banks of turned slices, which have to be of the same kind as the bank."""
    found = []
    for turn in range(1, config.augment + 1):
        copy = Bank(turned_bank(config, turn))
        if copy.header != replace(bank.header, turn=turn):
            message = (
                f"{copy.path}: {copy.header.differences(replace(bank.header, turn=turn))}; "
                "choose another folder for the result, where the copies are made again."
            )
            raise InputError(message)
        found.append(copy)
    return found


def _check_trainable(pairs: Pairs, config: TrainConfig) -> None:
    if len(pairs):
        return
    least = config.objective.least_pixels
    large = f" of {least} pixels and more, as {config.objective.name} takes them," if least else ""
    message = (
        f"{config.bank}: no labels{large} in its training split; expected at least one. Prepare "
        "the data set with other shares or another seed, or add studies."
    )
    raise InputError(message)


def _epochs(run: Run) -> Iterator[Event]:
    config, state, plan = run.config, run.state, run.plan
    total = config.epochs * plan.samples
    if not state.epoch and not state.batch:
        before = run.validated()
        if before is None:
            yield Stopped(text=f"{config.out}: stopped before the first epoch")
            return
        yield from _note_curve(run, Measured(at=0, values=before))
        state.best = {name: value for name, value in before.items() if not math.isnan(value)}
    yield Started(what="masks", total=total, done=state.epoch * plan.samples)
    yield from run.told()
    while not run.ended:
        for done in run.train_epoch():
            yield Progressed(done=done, total=total, seconds_left=run.seconds_left(), what="masks")
            yield from run.told()
        if not run.stopping:
            yield from _end_epoch(run)
        if run.stopping:
            run.save()
            _show(run)
            yield Stopped(text=f"{config.out}: stopped in epoch {state.epoch + 1}; {_best(run)}")
            return
    if run.out_of_patience:
        yield Noted(text=f"no better validation in {config.patience} epochs: training ends")
    _show(run)
    yield from _finished(run)


def _finished(run: Run) -> Iterator[Event]:
    """Tell how it ended; at the end only, look at what no choice was made on."""
    state = run.state
    tested = run.tested()
    if run.stopping:
        yield Stopped(text=f"{run.config.out}: stopped before its test; {_best(run)}")
        return
    details = {"epochs": state.epoch, "best": dict(state.best), "seconds": run.seconds}
    text = f"{run.config.out}: {state.epoch} epochs; {_best(run)}"
    if tested is not None:
        details[UNTOUCHED] = tested
        text += f"; {tested:.3f} on the rest of zero-shot, on which nothing was chosen"
    yield Finished(text=text, details=details)


def _end_epoch(run: Run) -> Iterator[Event]:
    """Validate, keep what is best, and save; if that is stopped, the epoch is not counted."""
    state = run.state
    epoch = state.epoch + 1
    values = {"loss": run.epoch_loss}
    if run.validates_now:
        found = run.validated()
        if found is None:
            return
        values |= found
        _keep_best(run, epoch, found)
    run.count_epoch()
    yield from _note_curve(run, Measured(at=epoch, values=values))
    run.save()
    yield from run.told()


def _keep_best(run: Run, epoch: int, found: Mapping[str, float]) -> None:
    """Write the decoder for each split on which it is better than ever, or if there is none."""
    state = run.state
    state.validated = epoch
    for split, dice in found.items():
        if dice > state.best.get(split, -1.0):
            state.best[split] = dice
            if split == next(iter(found)):
                state.best_epoch = epoch
            run.save_best(split, found)
    if not found:
        state.best_epoch = epoch
        run.save_best("train", found)


def _note_curve(run: Run, point: Measured) -> Iterator[Event]:
    values = {name: value for name, value in point.values.items() if math.isfinite(value)}
    point = Measured(at=point.at, values=values)
    if run.ranks.first:
        add_point(run.config.out, point)
        if time.monotonic() - run.shown > SHOW_SECONDS:
            _show(run)
    yield point


def _show(run: Run) -> None:
    """Write what people look at: short epochs shall not wait for each of their pictures."""
    run.shown = time.monotonic()
    if run.ranks.first:
        save_picture(run.config.out)
        if not run.stopping:  # after a request to stop, this is not waited for
            save_preview(run)


def _best(run: Run) -> str:
    state = run.state
    found = "; ".join(f"Dice {dice:.3f} ({split})" for split, dice in state.best.items())
    if not found:
        return "no validation split"
    if state.best_epoch:
        return f"best {found}"
    if state.validated:
        return f"no epoch was better than the model that it started from: {found}"
    return f"not one epoch was finished and validated; the model that it started from has {found}"


@contextmanager
def _own_folder(out: Path, ranks: Ranks) -> Iterator[None]:
    """Keep other runs out of the folder."""
    from filelock import FileLock, Timeout

    if not ranks.first:
        yield
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
        lock.acquire(timeout=0)
        remove_all_leftovers(out)
    except Timeout as error:
        message = f"{out}: another run is at work in this folder; choose another for the result."
        raise InputError(message) from error
    except OSError as error:
        message = f"{out}: cannot be written ({error.strerror or error})."
        raise StoreError(message) from error
    try:
        yield
    finally:
        lock.release()
