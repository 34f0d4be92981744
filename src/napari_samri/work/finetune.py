"""What fine-tuning does beside training: embeds first, or measures a few steps."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.datasets import read_manifest, root_of, write_manifest
from napari_samri.errors import Cancelled, InputError
from napari_samri.jobs import Finished, Noted, Stopped, duration, never
from napari_samri.training import FILE, Counts, estimate, fit, turned_bank
from napari_samri.work.config import EmbedConfig
from napari_samri.work.embed import embed_bank
from napari_samri.work.facts import masks_in
from napari_samri.work.places import RUN_BANK
from napari_samri.work.planning import changes_in

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from napari_samri.datasets import Manifest
    from napari_samri.jobs import Cancel, Event
    from napari_samri.training import Estimate, TrainConfig

TURNED = "turned.json"
_SAMPLE_SLICES = 4


def embed_then_fit(manifest: Path, config: TrainConfig, cancel: Cancel = never) -> Iterator[Event]:
    """Embed the slices of a manifest into the run's bank, and train on it.

    Yields
    ------
    Event
        Those of embedding, whose end is a note, and then those of training.

    Raises
    ------
    InputError
        If several processes shall train: they would all embed. If a run is in the folder that
        was begun with other images or labels.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        message = (
            "a manifest is embedded and trained on in one process; for several, embed it into a "
            "bank first and give that."
        )
        raise InputError(message)
    yield from fit(config, cancel, before=lambda: _embedded(manifest, config, cancel))


def _embedded(manifest: Path, config: TrainConfig, cancel: Cancel) -> Generator[Event, None, bool]:
    """Embed into the run's bank; return whether that was finished."""
    _check_unchanged(manifest, config)
    every = [_embedding(manifest, config.bank, config)]
    if config.augment:
        trained = _of_training(manifest, config.out)
        every += [
            replace(_embedding(trained, turned_bank(config, turn), config), turn=turn)
            for turn in range(1, config.augment + 1)
        ]
    for embedding in every:
        for event in embed_bank(embedding, cancel):
            if isinstance(event, Stopped):
                yield event
                return False
            yield Noted(text=event.text) if isinstance(event, Finished) else event
    return True


def _of_training(path: Path, folder: Path) -> Path:
    """Write a manifest of what is trained on alone: no other slices are shown turned."""
    manifest = _from_anywhere(read_manifest(path), path)
    studies = tuple(study for study in manifest.studies if study.split == "train")
    write_manifest(folder / TURNED, replace(manifest, studies=studies))
    return folder / TURNED


def _check_unchanged(manifest: Path, config: TrainConfig) -> None:
    """Refuse to add to the bank of a run that was begun, or to train on labels that are gone."""
    if not config.bank.exists():
        return
    new, gone = changes_in(config.bank, read_manifest(manifest))
    if gone or (new and (config.out / FILE).exists()):
        message = (
            f"{config.out}: images or labels have changed since this run began ({new} slices are "
            f"new or different, {gone} have no labels any more). Choose another folder for the "
            "result, or take the changes back. The run in this folder is as it was."
        )
        raise InputError(message)


def estimate_run(
    config: TrainConfig, manifest: Path | None, cancel: Cancel = never
) -> Iterator[Event]:
    """Measure how long a run will take, and tell it as the text and details of `Finished`."""
    yield Noted(text="measuring a few steps")
    try:
        if manifest is None:
            found, embedding = estimate(config, cancel=cancel), 0.0
        else:
            found, embedding = _of_sample(config, manifest, cancel)
    except Cancelled as error:
        yield Stopped(text=str(error))
        return
    seconds = found.seconds + embedding
    text = f"about {duration(seconds)} for {config.epochs} epochs of {found.masks:,} masks"
    if embedding:
        text += f", {duration(embedding)} of it for embedding"
    for name, value in (("memory", found.memory_bytes), ("GPU memory", found.device_bytes)):
        if value is not None:
            text += f"; {value / 1e9:.1f} GB of {name}"
    details = {**found.as_dict(), "seconds": seconds, "embedding_seconds": embedding}
    yield Finished(text=text, details=details)


def _of_sample(config: TrainConfig, path: Path, cancel: Cancel) -> tuple[Estimate, float]:
    """Embed a few slices into a bank of their own, and estimate for all from that."""
    manifest = read_manifest(path)
    counts = Counts(**masks_in(manifest, config))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_manifest(folder / "sample.json", _sample(manifest, path))
        embedding = _embedding(folder / "sample.json", folder / RUN_BANK, config)
        *_, end = embed_bank(embedding, cancel)
        if not isinstance(end, Finished):
            message = "stopped; nothing was estimated, and nothing is kept"
            raise Cancelled(message)
        done = end.details
        sampled = replace(config, bank=folder / RUN_BANK, split_slices=False, augment=0)
        found = estimate(sampled, counts, cancel)
    turned = sum(len(s.slices) for s in manifest.studies if s.split == "train") * config.augment
    return found, done["encoding_seconds"] / done["slices"] * (manifest.rows + turned)


def _embedding(manifest: Path, bank: Path, config: TrainConfig) -> EmbedConfig:
    return EmbedConfig(
        manifest=manifest,
        out=bank,
        model=config.model,
        family=config.family,
        device=config.device,
    )


def _sample(manifest: Manifest, path: Path) -> Manifest:
    """Return a manifest of a few slices of one study that is trained on."""
    study = next((study for study in manifest.studies if study.split == "train"), None)
    if study is None:
        message = f"{path}: no labels in its training split; expected at least one."
        raise InputError(message)
    middle = max(0, (len(study.slices) - _SAMPLE_SLICES) // 2)
    few = replace(study, slices=study.slices[middle : middle + _SAMPLE_SLICES])
    return replace(_from_anywhere(manifest, path), studies=(few,))


def _from_anywhere(manifest: Manifest, path: Path) -> Manifest:
    """Return a manifest whose data sets are found wherever it lies."""
    datasets = tuple(
        replace(dataset, root=str(root_of(dataset, path))) for dataset in manifest.datasets
    )
    return replace(manifest, datasets=datasets)
