"""What a run leaves behind: decoders with cards."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_samri.models import DecoderCard, card_of, write_decoder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_samri.embeddings.bank import Bank
    from napari_samri.models import LoadedModel
    from napari_samri.training.config import TrainConfig
    from napari_samri.training.run import Run


def first_card(config: TrainConfig, model: LoadedModel, bank: Bank, samples: int) -> DecoderCard:
    """Return the card of a run's decoders, but for what changes from epoch to epoch."""
    card = card_of(
        model,
        title=f"{model.spec.title}, tuned ({config.out.name})",
        objective=config.objective.as_dict(),
        trains_quality=config.objective.trains_quality,
    )
    return replace(card, bank=bank.fingerprint, seed=config.seed, samples=samples)


def best_path(out: Path, split: str) -> Path:
    """Return where the decoder that was best on a split is kept."""
    name = "best" if split in {"validation", "train"} else f"best-{split}"
    return out / f"{name}.safetensors"


def save_best(run: Run, split: str, dice: Mapping[str, float]) -> None:
    """Write the decoder as it is now, by the first rank, with its own Dice on each split.

    Raises
    ------
    StoreError
        If the disk refuses; the one before is still there.
    """
    if not run.ranks.first:
        return
    scores = {f"dice, {name}": round(value, 4) for name, value in dice.items()}
    card = replace(run.card, epochs=run.state.epoch + 1, scores=scores)
    tensors = run.model.network.trainable.state_dict()
    write_decoder(best_path(run.config.out, split), tensors, card)
