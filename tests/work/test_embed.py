"""Batch runs on real files with the starter's encoder: what is in the bank, and what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_samri import load_predictor, load_volume
from napari_samri.datasets import read_manifest
from napari_samri.embeddings import EmbeddingCache
from napari_samri.embeddings.bank import Bank, create_bank, parts_of
from napari_samri.embeddings.bank.arrays import shard_key
from napari_samri.errors import InputError, ModelError, StoreError
from napari_samri.geometry import Plane
from napari_samri.jobs.events import Finished, Problem, Progressed, Started, Stopped
from napari_samri.work import EmbedConfig, embed_bank
from napari_samri.work.encoder import load_encoder
from tests.tiny import install_tiny, random_tiny, tiny_tensors, with_other_decoder
from tests.work.making import digests, make_data, make_manifest, make_study

if TYPE_CHECKING:
    from pathlib import Path


def run(manifest: Path, out: Path, **options: object) -> list[object]:
    return list(embed_bank(EmbedConfig(manifest=manifest, out=out, device="cpu", **options)))


def test_a_row_is_the_embedding_of_its_slice(manifest: Path, whole: Path) -> None:
    bank = Bank(whole)
    assert len(bank) == read_manifest(manifest).rows == 144
    predictor = load_predictor("starter", "cpu", EmbeddingCache())
    for row in (0, 63, 64, 143):
        study, entry = bank.slice_of(row)
        volume = load_volume(manifest.parent / study.image)
        pixels = Plane(study.axis, entry.index).extract(volume)
        expected = predictor.embed(pixels).features["image"]
        np.testing.assert_array_equal(bank.embedding(row), expected.astype(np.float16))
        assert tuple(bank.rows["slice_shape"][row]) == pixels.shape
        labels = bank.labels(row)
        assert set(np.unique(labels)) - {0} == {region.label for region in entry.regions}
        shares = bank.pairs["area"][bank.pairs["row"] == row]
        filled = (pixels.shape[0] * pixels.shape[1]) / max(pixels.shape) ** 2
        for region, share in zip(entry.regions, shares, strict=True):
            found = (labels == region.label).mean()
            assert found == pytest.approx(share * filled, rel=0.1)


def test_progress_counts_slices_up_to_the_end(manifest: Path, tmp_path: Path) -> None:
    events = run(manifest, tmp_path / "bank.zarr")
    assert Started(what="slices", total=144) in events
    done = [event.done for event in events if isinstance(event, Progressed)]
    assert done == sorted(done)
    assert done[-1] == 144
    assert isinstance(events[-1], Finished)
    assert events[-1].details["complete"]
    assert 0 < events[-1].details["encoding_seconds"] <= events[-1].details["seconds"]


def test_a_second_run_does_nothing(manifest: Path, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    events = run(manifest, whole)
    assert not any(isinstance(event, Progressed) for event in events)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_cancel_keeps_what_was_done(manifest: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.zarr"
    asked = []

    def cancel() -> bool:
        asked.append(None)
        return len(asked) > 3000  # in the middle of the second shard

    config = EmbedConfig(manifest=manifest, out=out, device="cpu")
    events = list(embed_bank(config, cancel))
    assert isinstance(events[-1], Stopped)
    assert not parts_of(out)[0].sealed
    done = max(event.done for event in events if isinstance(event, Progressed))
    assert 0 < done < 144
    with pytest.raises(InputError, match="no row"):
        Bank(out).embedding(0)
    again = run(manifest, out)
    seen = [event for event in again if isinstance(event, Progressed)]
    assert len(seen) > 0
    assert digests(out) == digests(whole)


def test_ranks_make_the_same_bank(manifest: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "bank.zarr"
    last = [run(manifest, out, rank=rank, ranks=3)[-1] for rank in (2, 0, 1)]
    assert [event.details["complete"] for event in last] == [False, False, True]
    assert digests(out) == digests(whole)


def test_new_studies_are_appended(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "bank.zarr"
    manifest = make_data(data, 2)
    run(manifest, out)
    before = digests(out)
    make_study(data, "case2", 2)
    manifest = make_manifest(data, ["case0", "case1", "case2"])
    assert run(manifest, out)[1].total == 8
    after = digests(out)
    assert {name: after[name] for name in before} == before
    assert len(parts_of(out)) == 2
    assert len(Bank(out)) == 24


def test_a_bank_of_before_is_added_to_as_it_was_begun(tmp_path: Path) -> None:
    path = make_data(tmp_path / "data", 1)
    out = tmp_path / "bank.zarr"
    header = load_encoder("starter", "cpu", None).header("float16")
    create_bank(out, replace(header, version=1))
    assert isinstance(run(path, out)[-1], Finished)
    assert Bank(out).header.reduction == "majority"
    assert len(Bank(out)) == read_manifest(path).rows


def test_labels_that_were_changed_take_the_place_of_the_old_ones(tmp_path: Path) -> None:
    """Also where somebody goes back to labels of before, and forth again."""
    import nibabel as nib

    data, out = tmp_path / "data", tmp_path / "bank.zarr"
    run(make_data(data, 2), out)
    path = data / "case1_seg.nii.gz"
    image = nib.load(path)
    labels = np.asarray(image.dataobj)
    for label in (5, 3, 5, 3):
        nib.save(nib.Nifti1Image(np.where(labels == 3, label, labels), image.affine), path)
        manifest = make_manifest(data, ["case0", "case1"])
        run(manifest, out)
        with Bank(out) as bank:
            assert len(bank) == 16
            found = bank.pairs["label"].tolist()
        assert set(found) == {1, 3, label}
        assert found.count(3) == (14 if label == 3 else 7)
        parts = len(parts_of(out))
        run(manifest, out)
        assert len(parts_of(out)) == parts, "the second time there is nothing to do"


def test_an_unreadable_study_is_left_out_and_done_once_it_is_mended(
    manifest: Path, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "bank.zarr"
    manifest = make_data(data, 3)
    image = data / "case1_img.nii.gz"
    content = image.read_bytes()
    image.write_bytes(content[: len(content) // 2])
    events = run(manifest, out)
    problems = [event.text for event in events if isinstance(event, Problem)]
    assert len(problems) == 1
    assert "case1_img.nii.gz" in problems[0]
    assert events[-1].details["unreadable"] == ["case1_img.nii.gz"]
    assert {study.image for study in map(Bank(out).slice_of, range(16)) for study in study[:1]} == {
        "case0_img.nii.gz",
        "case2_img.nii.gz",
    }
    image.write_bytes(content)
    run(manifest, out)
    bank = Bank(out)
    assert len(bank) == 24
    assert not any(part.missing_rows() for part in bank.parts[1:])


def test_an_image_that_changed_since_it_was_prepared_is_left_out(tmp_path: Path) -> None:
    data = tmp_path / "data"
    manifest = make_data(data, 2)
    make_study(data, "case1", 99)
    events = run(manifest, tmp_path / "bank.zarr")
    (problem,) = (event.text for event in events if isinstance(event, Problem))
    assert "not those that were prepared" in problem
    assert len(Bank(tmp_path / "bank.zarr")) == 8


def test_a_torn_shard_is_found_and_redone(manifest: Path, tmp_path: Path, whole: Path) -> None:
    out = tmp_path / "bank.zarr"
    run(manifest, out)
    (part,) = parts_of(out)
    shard = part.path / shard_key("emb", 1)
    shard.write_bytes(shard.read_bytes()[:-7])
    events = run(manifest, out)
    assert Started(what="slices", total=144, done=80) in events
    assert digests(out) == digests(whole)


def test_a_bank_of_another_encoder_is_refused_by_name(
    manifest: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tiny(monkeypatch)
    checkpoint = tmp_path / "other.pth"
    torch.save(random_tiny().state_dict(), checkpoint)
    before = digests(whole)
    with pytest.raises(ModelError, match="the chosen model has the encoder"):
        run(manifest, whole, model=str(checkpoint))
    with pytest.raises(InputError, match="already a bank with quantisation float16"):
        run(manifest, whole, quantisation="int8")
    assert digests(whole) == before


def test_one_bank_serves_all_models_with_one_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tiny(monkeypatch)
    manifest, out = make_data(tmp_path / "data", 1), tmp_path / "bank.zarr"
    tensors = tiny_tensors()
    sam, samri = tmp_path / "sam.pth", tmp_path / "samri.pth"
    torch.save(tensors, sam)
    torch.save(with_other_decoder(tensors), samri)
    assert run(manifest, out, model=str(sam))[1].total == 8
    before = digests(out)
    assert not any(isinstance(event, Progressed) for event in run(manifest, out, model=str(samri)))
    assert digests(out) == before
    model = load_predictor(samri, "cpu", EmbeddingCache())
    bank = Bank(out)
    study, entry = bank.slice_of(0)
    volume = load_volume(manifest.parent / study.image)
    embedding = model.embed(Plane(study.axis, entry.index).extract(volume))
    np.testing.assert_array_equal(bank.embedding(0), embedding.features["image"].astype(np.float16))


def test_a_full_disk_stops_the_run_and_leaves_it_resumable(
    manifest: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_samri.embeddings.bank import part

    out = tmp_path / "bank.zarr"
    calls = []
    real = part.stage_shard

    def full(*arguments: object) -> object:
        calls.append(None)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(part, "stage_shard", full)
        with pytest.raises(StoreError, match="No space left on device"):
            run(manifest, out)
    run(manifest, out)
    assert digests(out) == digests(whole)


def test_a_manifest_whose_paths_leave_its_root_is_refused(tmp_path: Path) -> None:
    manifest = make_data(tmp_path / "data", 1)
    manifest.write_text(manifest.read_text().replace('"case0_img', '"../case0_img'))
    with pytest.raises(InputError, match="leaves its data set's root"):
        run(manifest, tmp_path / "bank.zarr")
    assert not (tmp_path / "bank.zarr").exists()


def test_ranks_have_to_make_sense(manifest: Path, tmp_path: Path) -> None:
    config = EmbedConfig(manifest=manifest, out=tmp_path)
    with pytest.raises(InputError, match="expected 0 to 2"):
        replace(config, rank=3, ranks=3)
