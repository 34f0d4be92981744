"""What a run leaves behind: decoders with cards, and pictures of its curves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from napari_samri.sam.identity import prompt_encoder_sha256
from napari_samri.sam.tuned import Base, DecoderCard, write_decoder
from napari_samri.zoo import known_models

if TYPE_CHECKING:
    from napari_samri.training.run import Run

_BLOCK_BYTES = 1 << 20


def best_path(out: Path, split: str) -> Path:
    """Return where the decoder that was best on a split is kept."""
    name = "best" if split in {"validation", "train"} else f"best-{split}"
    return out / f"{name}.safetensors"


def save_best(run: Run, split: str) -> None:
    """Write the decoder as it is now, by the first rank.

    Raises
    ------
    StoreError
        If the disk refuses; the one before is still there.
    """
    if not run.ranks.first:
        return
    tensors = run.optimiser.decoder.decoder.state_dict()
    write_decoder(best_path(run.config.out, split), tensors, card_of(run))


def card_of(run: Run) -> DecoderCard:
    """Return the card of the decoder as it is now."""
    import napari_samri

    config, model = run.config, run.model
    return DecoderCard(
        title=f"{model.spec.title}, tuned ({config.out.name})",
        base=base_of(config.model, model.spec.id),
        architecture=model.spec.architecture,
        family=model.family.id,
        preprocessing=model.family.preprocessing,
        encoder=model.encoder,
        prompt_encoder=prompt_encoder_sha256(model.network.state_dict()),
        objective=config.objective.as_dict(),
        trains_quality=config.objective.trains_quality,
        bank=run.bank.fingerprint,
        seed=config.seed,
        epochs=run.state.epoch,
        samples=len(run.plan.row),
        scores={f"dice, {split}": round(dice, 4) for split, dice in run.state.best.items()},
        written_by=f"napari-samri {napari_samri.__version__}",
    )


def base_of(model: str, spec_id: str) -> Base:
    """Return how a card names the model that a run has started from."""
    if spec_id in known_models():
        return Base(name=spec_id)
    path = Path(model).expanduser()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return Base(name=path.name, sha256=digest.hexdigest())
