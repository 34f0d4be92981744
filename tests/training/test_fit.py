"""Whole runs on a real bank with the starter's decoder."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load, load_file, save_file

from napari_samri.atomic import replacing
from napari_samri.codec import DIGEST
from napari_samri.datasets import read_manifest, write_manifest
from napari_samri.embeddings.bank import Bank
from napari_samri.errors import InputError, ModelError, StoreError
from napari_samri.jobs.events import (
    Finished,
    Measured,
    Noted,
    Progressed,
    Started,
    Stopped,
    never,
)
from napari_samri.models import card_of, load_model
from napari_samri.training import TrainConfig, fit
from napari_samri.training.curves import read_curves
from napari_samri.training.loop import _notes_on_points, make_run
from napari_samri.training.objective import MEDICOSAM, MEDSAM, SAMRI_BOX
from napari_samri.training.optimise import Optimiser, decays
from napari_samri.training.preview import read_preview
from napari_samri.training.ranks import Ranks
from napari_samri.training.step import numbers_needed
from napari_samri.work import EmbedConfig, embed_bank
from tests.work.making import make_data

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.models import LoadedModel
    from napari_samri.training.objective import Objective


def config_of(bank: Path, out: Path, **options: Any) -> TrainConfig:
    known: dict[str, Any] = {
        "bank": bank,
        "out": out,
        "objective": SAMRI_BOX,
        "epochs": 2,
        "batch": 12,
        "micro_batch": 6,
        "quota": None,
        "learning_rate": 1e-3,
        "device": "cpu",
        "seed": 3,
    }
    return TrainConfig(**{**known, **options})


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "state.safetensors")


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor], tol: float) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=tol, atol=tol, msg=name)


def test_a_run_learns_and_leaves_its_best_behind(bank: Path, tmp_path: Path) -> None:
    config = config_of(bank, tmp_path / "run", epochs=6)
    events = list(fit(config))
    started = next(event for event in events if isinstance(event, Started))
    assert started.total == 6 * 28
    curve = [event for event in events if isinstance(event, Measured)]
    assert [point.at for point in curve] == [*range(7)]
    assert set(curve[-1].values) == {"loss", "validation", "zero-shot"}
    assert curve[-1].values["loss"] < 0.9 * curve[1].values["loss"]
    assert curve[-1].values["validation"] > curve[0].values["validation"]
    lines = (tmp_path / "run" / "curves.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [*range(7)]
    assert isinstance(events[-1], Finished)
    best = events[-1].details["best"]
    assert best["validation"] == max(point.values["validation"] for point in curve)
    for name in ("best.safetensors", "best-zero-shot.safetensors"):
        assert (tmp_path / "run" / name).exists()


def test_a_tuned_decoder_is_a_model_that_can_be_tuned_again(bank: Path, tmp_path: Path) -> None:
    list(fit(config_of(bank, tmp_path / "one", epochs=1)))
    tuned = tmp_path / "one" / "best.safetensors"
    model = load_model(tuned, "cpu")
    assert model.card is not None
    assert model.card.objective["name"] == "samri-box"
    assert model.card.scores.keys() == {"dice, validation", "dice, zero-shot"}
    list(fit(config_of(bank, tmp_path / "two", epochs=1, model=str(tuned))))
    again = load_model(tmp_path / "two" / "best.safetensors", "cpu")
    assert again.encoder == load_model("starter", "cpu").encoder
    assert again.card is not None
    assert again.card.base == model.card.base


@pytest.mark.parametrize("objective", [MEDSAM, replace(MEDICOSAM, n_steps=2)])
def test_other_objectives_learn_too(bank: Path, tmp_path: Path, objective: Any) -> None:
    events = list(fit(config_of(bank, tmp_path, objective=objective)))
    losses = [e.values["loss"] for e in events if isinstance(e, Measured) and e.at]
    assert losses[-1] < losses[0]


# Ten times SAMRI's. Adam divides by a gradient's size, so where there is hardly any gradient,
# rounding errors turn into steps: a part of the learning rate, whatever the order of sums.
RATE = 1e-4


def test_pieces_of_any_size_make_the_same_run(bank: Path, tmp_path: Path) -> None:
    for micro in (1, 5, 64):
        out = tmp_path / str(micro)
        list(fit(config_of(bank, out, micro_batch=micro, learning_rate=RATE)))
    one = weights(tmp_path / "64")
    assert_same(weights(tmp_path / "1"), one, 1e-5)
    assert_same(weights(tmp_path / "5"), one, 1e-5)


def test_stopped_and_gone_on_with(bank: Path, tmp_path: Path) -> None:
    list(fit(config_of(bank, tmp_path / "whole")))
    asked: list[None] = []

    def cancel() -> bool:
        asked.append(None)
        return len(asked) > 7

    config = config_of(bank, tmp_path / "parts")
    events = list(fit(config, cancel))
    assert isinstance(events[-1], Stopped)
    assert not any(isinstance(event, Finished) for event in events)
    rest = list(fit(config))
    assert isinstance(rest[-1], Finished)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"), 0)
    again = list(fit(replace(config, epochs=2)))
    assert not any(isinstance(event, Progressed) for event in again)


def test_stopped_in_the_middle_of_a_step(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step may be a thousand masks: it is left at once, and begun anew."""
    whole = config_of(bank, tmp_path / "whole", batch=28, micro_batch=4, epochs=1)
    list(fit(whole))
    pieces, most = [], [2]
    real = Optimiser.add

    def counted(self: Optimiser, *args: Any) -> None:
        pieces.append(None)
        real(self, *args)

    monkeypatch.setattr(Optimiser, "add", counted)
    config = replace(whole, out=tmp_path / "parts")
    events = list(fit(config, lambda: len(pieces) >= most[0]))
    assert len(pieces) == 2
    assert not any(isinstance(event, Progressed) for event in events)
    assert isinstance(events[-1], Stopped)
    most[0] = 10**6
    assert isinstance(list(fit(config))[-1], Finished)
    assert_same(weights(tmp_path / "whole"), weights(config.out), 0)


def test_stopped_between_the_rounds_of_a_piece(bank: Path, tmp_path: Path) -> None:
    looks: list[None] = []
    run = make_run(config_of(bank, tmp_path, objective=MEDICOSAM), Ranks(), "cpu", never)
    before = {name: value.clone() for name, value in run.optimiser.parameters.items()}

    def cancel() -> bool:
        looks.append(None)
        return len(looks) >= 3

    piece = run.plan.batches(0)[0][:1]
    numbers = run.plan.numbers(0, numbers_needed(8))
    samples = run.source.to_samples(run.source.read(piece), numbers)
    sums = run.optimiser.begin()
    run.optimiser.add(sums, samples, piece, cancel)
    assert len(looks) == 3, "nine rounds would look nine times"
    assert run.optimiser.finish(sums) == (0, True, False)
    for name, value in run.optimiser.parameters.items():
        assert torch.equal(value, before[name]), "no step is taken of a part of a batch"


def test_stopped_while_it_validates(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part of a split that was looked at does not stand for all of it."""
    from napari_samri.training import validate

    list(fit(config_of(bank, tmp_path / "whole")))
    real, looks, most = validate.own_answers, [], [0]

    def counted(*args: Any) -> Any:
        looks.append(None)
        return real(*args)

    monkeypatch.setattr(validate, "own_answers", counted)
    config = config_of(bank, tmp_path / "parts")
    assert isinstance(list(fit(config, lambda: len(looks) > most[0]))[-1], Stopped)
    assert len(looks) == 1
    assert not (tmp_path / "parts" / "curves.jsonl").exists()
    most[0] = 10**6
    stopped = []
    for event in fit(config, lambda: len(looks) > most[0]):
        stopped.append(event)
        if isinstance(event, Progressed) and event.done == 28:  # the last batch of the epoch
            most[0] = len(looks)
    assert isinstance(stopped[-1], Stopped)
    assert "not one epoch was finished and validated" in stopped[-1].text
    assert [e.at for e in stopped if isinstance(e, Measured)] == [0], "the epoch does not count"
    assert not (tmp_path / "parts" / "best.safetensors").exists()
    assert isinstance(list(fit(config))[-1], Finished)
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"), 0)
    assert read_curves(tmp_path / "whole") == read_curves(tmp_path / "parts")


def test_more_epochs_go_on_from_a_run_that_was_finished(bank: Path, tmp_path: Path) -> None:
    list(fit(config_of(bank, tmp_path / "whole", epochs=3)))
    list(fit(config_of(bank, tmp_path / "parts", epochs=1)))
    list(fit(config_of(bank, tmp_path / "parts", epochs=3)))
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"), 0)


def test_a_run_with_other_numbers_is_refused(bank: Path, tmp_path: Path) -> None:
    list(fit(config_of(bank, tmp_path, epochs=1)))
    with pytest.raises(InputError, match=r"differing: learning_rate, seed"):
        list(fit(config_of(bank, tmp_path, learning_rate=1e-4, seed=4)))


def test_a_run_of_earlier_arithmetic_is_refused(bank: Path, tmp_path: Path) -> None:
    config = config_of(bank, tmp_path / "run", epochs=1)
    list(fit(config))
    path = config.out / "state.safetensors"
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    identity = json.loads(metadata["identity"])
    del identity["arithmetic"]
    del metadata[DIGEST]  # which they did not have
    save_file(weights(config.out), path, metadata | {"identity": json.dumps(identity)})
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"earlier version .* choose another folder"):
        list(fit(config))
    assert path.read_bytes() == before


def test_what_nothing_was_chosen_on_is_looked_at_once(tmp_path: Path) -> None:
    manifest = make_data(tmp_path / "data", 4)
    content = read_manifest(manifest)
    splits = ("train", "zero-shot", "zero-shot", "zero-shot")
    studies = [replace(s, split=split) for s, split in zip(content.studies, splits, strict=True)]
    write_manifest(manifest, replace(content, studies=tuple(studies)))
    bank = tmp_path / "bank.zarr"
    list(embed_bank(EmbedConfig(manifest=manifest, out=bank, device="cpu")))
    config = config_of(bank, tmp_path / "run", validate_masks=12)
    events = list(fit(config))
    assert {name for e in events if isinstance(e, Measured) for name in e.values} == {
        "loss",
        "zero-shot",
    }
    end = events[-1]
    assert isinstance(end, Finished)
    assert 0 < end.details["zero-shot test"] <= 1
    assert f"{end.details['zero-shot test']:.3f} on the rest of zero-shot" in end.text
    trained = weights(config.out)
    again = list(fit(config))[-1]
    assert isinstance(again, Finished)
    assert again.details["zero-shot test"] == end.details["zero-shot test"]
    assert_same(weights(config.out), trained, 0)


def test_each_piece_is_learned_by_itself(bank: Path, tmp_path: Path) -> None:
    config = config_of(bank, tmp_path / "run", epochs=1, components=True)
    assert isinstance(list(fit(config))[-1], Finished)
    assert read_preview(config.out) is not None
    with pytest.raises(InputError, match="differing: components"):
        list(fit(replace(config, components=False)))


def test_a_run_stopped_in_its_first_epoch_says_what_it_began_with(
    bank: Path, tmp_path: Path
) -> None:
    begun: list[Any] = []
    config = config_of(bank, tmp_path / "run")
    for event in fit(config, lambda: any(isinstance(e, Progressed) for e in begun)):
        begun.append(event)
    dice = next(e for e in begun if isinstance(e, Measured)).values["validation"]
    assert isinstance(begun[-1], Stopped)
    assert "not one epoch was finished and validated" in begun[-1].text
    assert f"started from has Dice {dice:.3f} (validation)" in begun[-1].text


def test_training_ends_when_nothing_gets_better(bank: Path, tmp_path: Path) -> None:
    config = config_of(bank, tmp_path, learning_rate=1e-12, epochs=9, patience=2)
    events = list(fit(config))
    assert any(isinstance(event, Noted) and "no better" in event.text for event in events)
    ended = events[-1].details["epochs"]
    assert ended <= 4
    again = list(fit(config))
    assert again[-1].details["epochs"] == ended, "not one epoch more each time"
    assert not any(isinstance(event, Progressed) for event in again)


def test_patience_counts_from_validation_to_validation(bank: Path, tmp_path: Path) -> None:
    config = config_of(bank, tmp_path, epochs=4, patience=1, validate_every=2)
    events = list(fit(config))
    assert events[-1].details["epochs"] == 4, "the second epoch was the first that was looked at"
    assert (tmp_path / "best.safetensors").exists()


def test_a_card_tells_of_its_own_decoder(bank: Path, tmp_path: Path) -> None:
    events = list(fit(config_of(bank, tmp_path)))
    points = {event.at: event.values for event in events if isinstance(event, Measured)}
    for name in ("best", "best-zero-shot"):
        card = load_model(tmp_path / f"{name}.safetensors", "cpu").card
        assert card is not None
        own = points[card.epochs]
        assert card.scores == {
            f"dice, {split}": round(own[split], 4) for split in ("validation", "zero-shot")
        }


def test_no_epoch_was_better(bank: Path, tmp_path: Path) -> None:
    events = list(fit(config_of(bank, tmp_path, epochs=1, learning_rate=0.5)))
    assert "no epoch was better than the model that it started from" in events[-1].text
    assert not (tmp_path / "best.safetensors").exists()


def test_matrices_decay_and_nothing_else(bank: Path, tmp_path: Path) -> None:
    model = load_model("starter", "cpu")
    optimiser = Optimiser(model.network, config_of(bank, tmp_path), Ranks())
    free = {name for name, value in optimiser.parameters.items() if not decays(name, value)}
    rest = optimiser.parameters.keys() - free
    assert "mask_tokens.weight" in free
    assert any(name.endswith("cross_attn_token_to_image.q_proj.weight") for name in rest)
    assert any(name.endswith("mlp.lin1.weight") for name in rest)
    assert not [name for name in rest if "norm" in name or name.endswith("bias")]


def test_a_loss_that_is_not_finite_stops_the_run(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(bank, tmp_path)
    list(fit(replace(config, epochs=1)))
    before = weights(tmp_path)
    real = Bank.stored

    def broken(self: Bank, row: int, *feature: str) -> Any:
        values, scale = real(self, row, *feature)
        return (values * float("nan") if row == 5 else values), scale

    monkeypatch.setattr(Bank, "stored", broken)
    with pytest.raises(
        ModelError, match=r"row 5 of the bank \(slice 5 along axis 0 of case0_img.nii.gz\)"
    ):
        list(fit(config))
    assert_same(weights(tmp_path), before, 0)


def test_memory_that_runs_out_makes_the_pieces_smaller(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"masks_per_slice": 2, "learning_rate": RATE}
    list(fit(config_of(bank, tmp_path / "plenty", micro_batch=2, **options)))
    real = Optimiser.add

    def greedy(self: Optimiser, sums: Any, samples: Any, *rest: Any) -> None:
        real(self, sums, samples, *rest)
        if len(samples.truth) > 3:
            raise torch.OutOfMemoryError

    monkeypatch.setattr(Optimiser, "add", greedy)
    config = config_of(bank, tmp_path / "scarce", micro_batch=12, **options)
    events = list(fit(config))
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert [note.split(":")[1].split()[0] for note in notes] == ["6", "3"]
    assert_same(weights(tmp_path / "plenty"), weights(tmp_path / "scarce"), 1e-5)


def test_memory_that_runs_out_while_it_validates(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_samri.training import validate

    list(fit(config_of(bank, tmp_path / "plenty", epochs=1)))
    real = validate.own_answers

    def greedy(decoder: Any, samples: Any, *rest: Any) -> Any:
        if len(samples.truth) > 1:  # fewer than share a slice
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate")
        return real(decoder, samples, *rest)

    monkeypatch.setattr(validate, "own_answers", greedy)
    events = list(fit(config_of(bank, tmp_path / "scarce", epochs=1)))
    notes = [event.text for event in events if isinstance(event, Noted)]
    assert [note.split(":")[1].split()[0] for note in notes] == ["3", "1"]
    points = [read_curves(tmp_path / name) for name in ("plenty", "scarce")]
    assert points[0][0]["validation"] == pytest.approx(points[1][0]["validation"])


def test_memory_that_runs_out_in_a_step_is_not_hidden(
    bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step cannot be taken once more: some of the weights may have moved."""

    steps: list[None] = []

    def greedy(*_: Any, **__: Any) -> Any:
        steps.append(None)
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Optimiser, "finish", greedy)
    with pytest.raises(torch.OutOfMemoryError):
        list(fit(config_of(bank, tmp_path, epochs=1)))
    assert len(steps) == 1


def test_a_preview_has_all_that_was_drawn(bank: Path, tmp_path: Path) -> None:
    list(fit(config_of(bank, tmp_path, epochs=1, masks_per_slice=1, micro_batch=1)))
    preview = read_preview(tmp_path)
    assert preview is not None
    with Bank(bank) as opened:
        drawn = [np.asarray(opened.labels(int(row))) for row in preview.rows]
    np.testing.assert_array_equal(preview.truth, drawn)
    assert len(np.unique(preview.truth)) > 2
    assert len(np.unique(preview.prediction)) > 2


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on file sizes")
def test_a_full_disk_loses_nothing(bank: Path, tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: no file gets past half of the state's."""
    import resource

    run, whole = tmp_path / "run", tmp_path / "whole"
    list(fit(config_of(bank, whole)))
    list(fit(config_of(bank, run, epochs=1)))
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    room = len(before["state.safetensors"]) // 2
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(StoreError, match="cannot be written"):
            list(fit(config_of(bank, run)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    kept = {path.name for path in run.iterdir()}
    assert kept >= before.keys()
    assert not [name for name in kept if name.endswith(".tmp")]
    assert_same(weights(run), load(before["state.safetensors"]), 0)
    list(fit(config_of(bank, run)))
    assert_same(weights(run), weights(whole), 0)


def test_what_a_killed_run_has_left_is_removed_and_nothing_else(bank: Path, tmp_path: Path) -> None:
    with replacing(tmp_path / "preview.npz") as temporary:
        left, mine = temporary.with_suffix(".safetensors"), tmp_path / ".mine.safetensors"
    for path in (left, mine):
        path.touch()
    list(fit(config_of(bank, tmp_path, epochs=1)))
    assert mine.exists()
    assert not left.exists()


def test_two_runs_in_one_folder(bank: Path, tmp_path: Path) -> None:
    first = fit(config_of(bank, tmp_path))
    next(first)
    with pytest.raises(InputError, match="another run is at work"):
        next(fit(config_of(bank, tmp_path)))
    first.close()
    list(fit(config_of(bank, tmp_path, epochs=1)))


def test_two_runs_in_one_session_do_not_disturb_each_other(bank: Path, tmp_path: Path) -> None:
    configs = [config_of(bank, tmp_path / name, epochs=1) for name in ("a", "b")]
    list(fit(replace(configs[0], out=tmp_path / "alone")))
    both = [fit(config) for config in configs]
    live = list(both)
    while live:
        for run in list(live):
            if next(run, None) is None:
                live.remove(run)
    assert_same(weights(tmp_path / "a"), weights(tmp_path / "alone"), 0)
    assert_same(weights(tmp_path / "b"), weights(tmp_path / "alone"), 0)


def test_a_split_without_labels_is_refused(tmp_path: Path) -> None:
    from napari_samri.datasets import read_manifest, write_manifest
    from napari_samri.work import EmbedConfig, embed_bank
    from tests.work.making import make_data

    path = make_data(tmp_path / "data", 1)
    manifest = read_manifest(path)
    write_manifest(path, replace(manifest, studies=(replace(manifest.studies[0], split="test"),)))
    bank = tmp_path / "bank.zarr"
    list(embed_bank(EmbedConfig(manifest=path, out=bank, device="cpu")))
    with pytest.raises(InputError, match="no labels in its training split"):
        list(fit(config_of(bank, tmp_path / "run")))


def test_points_for_a_decoder_that_has_seen_none_are_noted() -> None:
    model = load_model("starter", "cpu")
    boxes_only = replace(model, spec=replace(model.spec, takes_points=False))

    def noted(of: LoadedModel, objective: Objective) -> list[str]:
        numbers = objective.as_dict()
        card = card_of(of, title="Knees", objective=numbers, trains_quality=False)
        return _notes_on_points(card, of)

    (note,) = noted(boxes_only, MEDICOSAM)
    assert note.startswith("Starter was trained with boxes only")
    assert noted(boxes_only, SAMRI_BOX) == noted(model, MEDICOSAM) == []
