"""Every container that people have a SAM in: its network comes out, or what is wrong is said."""

from __future__ import annotations

import argparse
import gzip
import os
import pickle
import re
import zipfile
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from napari_samri.errors import InputError, InputWarning, ModelError
from napari_samri.models import models_dir, tuned
from napari_samri.models.loading import load_model
from tests.tiny import CHANNELS, install_tiny, tiny_tensors, with_other_decoder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tensors = dict[str, torch.Tensor]

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    """Return what is to come out; do not change it."""
    return tiny_tensors(3)


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tiny network stand for ViT-B."""
    install_tiny(monkeypatch)
    monkeypatch.setattr(tuned, "BASES", {CHANNELS: "sam-vit-b"})


def before(prefix: str) -> Callable[[Tensors], Tensors]:
    """Return what puts a prefix before all names."""
    return lambda tensors: {f"{prefix}{name}": value for name, value in tensors.items()}


def inside(part: str, name: str) -> Callable[[Tensors], Tensors]:
    """Return what wraps one part of the model: its name stands in the middle."""
    return lambda tensors: {k.replace(f"{part}.", f"{part}.{name}."): v for k, v in tensors.items()}


def under(*keys: str) -> Callable[[Tensors], dict[str, Any]]:
    """Return what puts tensors into dictionaries, the innermost key last."""

    def wrap(tensors: Tensors) -> dict[str, Any]:
        content: dict[str, Any] = tensors
        for key in reversed(keys):
            content = {key: content}
        return content

    return wrap


def lightning(tensors: Tensors) -> dict[str, Any]:
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "2.2.0",
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.9)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": []}],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 1e-4},
        "state_dict": OrderedDict(before("model.")(tensors)),
    }


def with_numpy(tensors: Tensors) -> dict[str, Any]:
    history = {"dice": np.array([0.1, 0.2]), "area": np.arange(3)}
    return {
        "model": tensors,
        "loss": np.float64(0.25),
        "best": np.float32(0.5),
        "epoch": np.int64(7),
        "done": np.bool_(True),
        "history": history,
    }


def with_buffers(tensors: Tensors) -> Tensors:
    mean = torch.tensor([123.675, 116.28, 103.53]).reshape(3, 1, 1)
    return {"pixel_mean": mean, "pixel_std": mean / 2, **tensors}


def medicosam(tensors: Tensors) -> dict[str, Any]:
    return {
        "model_state": before("sam.")(tensors),
        "decoder_state": {"base.0.weight": torch.zeros(2)},
        "optimizer_state": {"state": {}},
        "iteration": 9,
        "best_metric": np.float64(0.1),
    }


# SAM's names to those of transformers' SamModel, as its own converter renames them.
TO_TRANSFORMERS = (
    (r"output_upscaling\.0", "upscale_conv1"),
    (r"output_upscaling\.1", "upscale_layer_norm"),
    (r"output_upscaling\.3", "upscale_conv2"),
    (r"mask_downscaling\.0", "mask_embed.conv1"),
    (r"mask_downscaling\.1", "mask_embed.layer_norm1"),
    (r"mask_downscaling\.3", "mask_embed.conv2"),
    (r"mask_downscaling\.4", "mask_embed.layer_norm2"),
    (r"mask_downscaling\.6", "mask_embed.conv3"),
    (r"point_embeddings", "point_embed"),
    (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"image_encoder", "vision_encoder"),
    (r"neck\.0", "neck.conv1"),
    (r"neck\.1", "neck.layer_norm1"),
    (r"neck\.2", "neck.conv2"),
    (r"neck\.3", "neck.layer_norm2"),
    (r"patch_embed\.proj", "patch_embed.projection"),
    (r"\.norm", ".layer_norm"),
    (r"blocks", "layers"),
)


PERCEPTRON = re.compile(r"(iou_prediction_head|hypernetworks_mlps\.\d)\.layers\.(\d)\.")


def transformers(tensors: Tensors) -> Tensors:
    layers = ("proj_in", "layers.0", "proj_out")
    renamed = {}
    for name, value in tensors.items():
        new = PERCEPTRON.sub(lambda found: f"{found[1]}.{layers[int(found[2])]}.", name)
        for pattern, other in TO_TRANSFORMERS:
            new = re.sub(pattern, other, new)
        renamed[new] = value
    shared = "prompt_encoder.shared_embedding.positional_embedding"
    return renamed | {"shared_image_embedding.positional_embedding": renamed[shared].clone()}


def views(tensors: Tensors) -> Tensors:
    """Return the tensors as pieces of one memory."""
    whole = torch.cat([value.flatten() for value in tensors.values()])
    pieces = whole.split([value.numel() for value in tensors.values()])
    return {k: piece.view(tensors[k].shape) for k, piece in zip(tensors, pieces, strict=True)}


def half(dtype: torch.dtype) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: value.to(dtype) for name, value in tensors.items()}


LOADED: dict[str, Callable[[Tensors], Any]] = {
    "plain": dict,
    "ordered": OrderedDict,
    "parameters": lambda t: {k: torch.nn.Parameter(v) for k, v in t.items()},
    **{f"under {key}": under(key) for key in ("model", "state_dict", "model_state", "net")},
    "under model_state_dict, with an epoch and a loss": lambda t: {
        "epoch": 7,
        "model_state_dict": t,
        "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 1e-4}]},
        "loss": 0.25,
    },
    "under two keys": under("model", "state_dict"),
    "beside settings of the name model": lambda t: {
        "model": {"name": "vit_b", "depth": 12},
        "state_dict": t,
    },
    "module.": before("module."),
    "_orig_mod.": before("_orig_mod."),
    "model.": before("model."),
    "sam.": before("sam."),
    "sam_model.": before("sam_model."),
    "module.sam.": before("module.sam."),
    "net.": before("net."),
    "_orig_mod.module.": before("_orig_mod.module."),
    "module._orig_mod.model.sam.": before("module._orig_mod.model.sam."),
    "model.model.": before("model.model."),
    "a part that was compiled": inside("image_encoder", "_orig_mod"),
    "a part on several devices": inside("mask_decoder", "module"),
    "Lightning": lightning,
    "MedSAM's training file": lambda t: {
        "model": before("module.")(t),
        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 12,
    },
    "MedicoSAM's training file": medicosam,
    "pixel_mean": with_buffers,
    "sam_model.pixel_mean": lambda t: before("sam_model.")(with_buffers(t)),
    "an epoch among the tensors": lambda t: {**t, "epoch": 3, "note": "best", "lr": None},
    "numbers of NumPy": with_numpy,
    "transformers": transformers,
    "transformers, under model.": lambda t: before("model.")(transformers(t)),
    "fp64": half(torch.float64),
    "not contiguous": lambda t: {
        k: v.transpose(-1, -2).contiguous().transpose(-1, -2) if v.ndim > 1 else v
        for k, v in t.items()
    },
    "views of one memory": views,
}


def check_loaded(path: Path, tensors: Tensors, **options: Any) -> None:
    found = load_model(path, "cpu", **options).network.state_dict()
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], value), name


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("container", LOADED)
def test_a_container_gives_the_very_weights(
    tmp_path: Path, tensors: Tensors, container: str, zipped: bool
) -> None:
    path = tmp_path / "a.pth"
    torch.save(LOADED[container](tensors), path, _use_new_zipfile_serialization=zipped)
    check_loaded(path, tensors)


def test_numbers_of_an_older_numpy_are_passed_over(tmp_path: Path, tensors: Tensors) -> None:
    """Its functions had another module, which newer ones still have for old pickles."""
    torch.save(with_numpy(tensors), tmp_path / "new.pth")
    with (
        zipfile.ZipFile(tmp_path / "new.pth") as new,
        zipfile.ZipFile(tmp_path / "old.pth", "w") as old,
    ):
        for member in new.infolist():
            content = new.read(member)
            if member.filename.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            old.writestr(member.filename, content)
    check_loaded(tmp_path / "old.pth", tensors)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(tmp_path: Path, tensors: Tensors, dtype: torch.dtype) -> None:
    torch.save(half(dtype)(tensors), tmp_path / "a.pth")
    check_loaded(tmp_path / "a.pth", {k: v.to(dtype).float() for k, v in tensors.items()})


@pytest.mark.parametrize(
    "name", ["a.pth", "A.PTH", "a.ckpt", "a.bin", "a", "a.b.c", "a.safetensors"]
)
@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_the_content_counts_and_not_the_name(
    tmp_path: Path, tensors: Tensors, name: str, kind: str
) -> None:
    path = tmp_path / name
    if kind == "safetensors":
        save_file(transformers(tensors), path, metadata={"format": "pt"})
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=kind == "zip")
    check_loaded(path, tensors)


def test_a_packed_archive_is_read(tmp_path: Path, tensors: Tensors) -> None:
    """torch.save packs nothing, but somebody may have, and torch reads it."""
    torch.save(tensors, tmp_path / "a.pth")
    packed = tmp_path / "packed.pth"
    with (
        zipfile.ZipFile(tmp_path / "a.pth") as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
    check_loaded(packed, tensors)


# Decoders alone.


def decoder_of(tensors: Tensors, prefix: str = "mask_decoder.") -> Tensors:
    """Return another decoder than the model's, named under a prefix."""
    part = "mask_decoder."
    return {
        prefix + k.removeprefix(part): v
        for k, v in with_other_decoder(tensors).items()
        if k.startswith(part)
    }


DECODERS: dict[str, Callable[[Tensors], Any]] = {
    "mask_decoder.": decoder_of,
    "its own names": lambda t: decoder_of(t, ""),
    "module.mask_decoder. under model": lambda t: {"model": decoder_of(t, "module.mask_decoder.")},
    "with its prompt encoder": lambda t: (
        decoder_of(t) | {k: v for k, v in t.items() if k.startswith("prompt_encoder.")}
    ),
}


@pytest.mark.parametrize("container", DECODERS)
def test_a_decoder_alone_is_put_onto_the_base_that_is_given(
    tmp_path: Path, tensors: Tensors, container: str
) -> None:
    torch.save(tensors, tmp_path / "base.pth")
    torch.save(DECODERS[container](tensors), tmp_path / "decoder.pth")
    base = tmp_path / "base.pth"
    check_loaded(tmp_path / "decoder.pth", with_other_decoder(tensors), base=base)


def test_a_decoder_alone_is_put_onto_the_model_of_its_shapes_and_said(
    tmp_path: Path, tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_samri.models.loading.fetch", lambda *_: tmp_path / "base.pth")
    torch.save(tensors, tmp_path / "base.pth")
    torch.save(decoder_of(tensors), tmp_path / "decoder.pth")
    with pytest.warns(InputWarning, match="put onto sam-vit-b"):
        check_loaded(tmp_path / "decoder.pth", with_other_decoder(tensors))


def test_a_decoder_alone_whose_shapes_fit_nothing_is_refused(
    tmp_path: Path, tensors: Tensors
) -> None:
    decoder = decoder_of(tensors)
    decoder["mask_decoder.iou_token.weight"] = torch.zeros(1, 7)
    torch.save(decoder, tmp_path / "decoder.pth")
    with pytest.raises(ModelError, match=r"embeddings of 7 channels; expected 32"):
        load_model(tmp_path / "decoder.pth", "cpu")
    torch.save(tensors, tmp_path / "base.pth")
    with pytest.raises(ModelError, match=r"mask_decoder.iou_token.weight \(1, 7\), expected"):
        load_model(tmp_path / "decoder.pth", "cpu", base=tmp_path / "base.pth")


def test_a_decoder_is_no_base(tmp_path: Path, tensors: Tensors) -> None:
    torch.save(decoder_of(tensors), tmp_path / "decoder.pth")
    with pytest.raises(ModelError, match="a decoder alone; expected the whole model"):
        load_model(tmp_path / "decoder.pth", "cpu", base=tmp_path / "decoder.pth")


# What is refused, and in which words.


def without(tensors: Tensors, name: str) -> Tensors:
    return {key: value for key, value in tensors.items() if key != name}


REFUSED: dict[str, tuple[Callable[[Tensors], Any], str]] = {
    "one missing": (
        lambda t: without(t, "mask_decoder.iou_token.weight"),
        r"1 missing: mask_decoder\.iou_token\.weight",
    ),
    "one more": (
        lambda t: {**t, "head.weight": torch.zeros(2)},
        r"1 unexpected: head\.weight",
    ),
    "other names": (
        lambda t: before("encoder.")(t),
        r"Found \d+ tensors, e\.g\. encoder\..*expected names like 'image_encoder\.pos_embed'",
    ),
    "two models": (
        lambda t: {**t, **before("model.")(with_other_decoder(t))},
        r"holds the tensor 'mask_decoder\..*' twice",
    ),
    "adapters": (
        lambda t: {**t, "image_encoder.blocks.0.Adapter.channel.0.weight": torch.zeros(2)},
        "SAM-Med2D",
    ),
    "SAM 2": (
        lambda t: {"model": {"image_encoder.trunk.pos_embed": torch.zeros(2)}},
        "SAM 2 or MedSAM2",
    ),
    "SAM 2 of transformers": (
        lambda t: {"vision_encoder.backbone.pos_embed": torch.zeros(2)},
        "SAM 2",
    ),
    "SAM-HQ": (lambda t: {**t, "mask_decoder.hf_token.weight": torch.zeros(2)}, "SAM-HQ"),
    "SAM-Med3D": (
        lambda t: {"image_encoder.patch_embed.proj.weight": torch.zeros(2, 1, 2, 2, 2)},
        "SAM-Med3D",
    ),
    "whole numbers": (lambda t: {k: v.int() for k, v in t.items()}, "not floating point"),
    "expanded": (
        lambda t: {**t, "mask_decoder.iou_token.weight": torch.zeros(1).expand(1 << 40)},
        "not a dense real one",
    ),
    "a list": (lambda t: list(t.values()), "holds a list; expected named tensors"),
    "an optimiser only": (lambda t: {"state": {}, "step": 3}, r"no tensors \(found: state"),
    "a class": (
        lambda t: {"model": t, "args": argparse.Namespace(lr=1)},
        r"would run code that it asks for \(argparse\.Namespace\)",
    ),
    "a module": (
        lambda t: torch.nn.Linear(2, 2),
        r"would run code that it asks for \(torch\.nn\.modules\.linear\.Linear\)",
    ),
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("container", REFUSED)
def test_what_does_not_fit_is_refused_in_words(
    tmp_path: Path, tensors: Tensors, container: str, zipped: bool
) -> None:
    make, message = REFUSED[container]
    torch.save(make(tensors), tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(tmp_path / "a.pth", "cpu")
    assert str(tmp_path / "a.pth") in str(caught.value)
    assert ("run code" in str(caught.value)) == ("run code" in message)


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "a page": (b"<!DOCTYPE html><html>Sign in</html>", "a page for a browser"),
    "gzip": (gzip.compress(b"x"), "gzip: unpack it first"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
    "text": (b"weights", "it begins with b'weights'"),
    "another archive": (b"PK\x05\x06" + bytes(18), "no such file"),
    "numbers in a pickle": (pickle.dumps([1, 2, 3], protocol=2), "not a readable PyTorch"),
}


@pytest.mark.parametrize("kind", FILES)
def test_other_files_are_told_as_what_they_are(tmp_path: Path, kind: str) -> None:
    content, message = FILES[kind]
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        load_model(tmp_path / "a.pth", "cpu")
    assert "run code" not in str(caught.value)


def test_a_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/code/__torch__.py", "")
        archive.writestr("a/data.pkl", "")
    with pytest.raises(ModelError, match=r"TorchScript.*would run code"):
        load_model(path, "cpu")


@pytest.mark.parametrize("name", ["model.pth", "model"])
@pytest.mark.parametrize("linked", [False, True], ids=["itself", "by a link"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_refused_at_once(
    tmp_path: Path, kind: str, linked: bool, name: str
) -> None:
    """Reading a pipe that nobody writes to does not end; the test's own limit of time tells."""
    target = tmp_path / ("target" if linked else name)
    match kind:
        case "pipe":
            os.mkfifo(target)
        case "device":
            target.symlink_to("/dev/zero")
        case _:
            target.mkdir()
    if linked:
        (tmp_path / name).symlink_to(target)
    with pytest.raises(InputError, match=r"is a (named pipe|device|folder); expected a check"):
        load_model(tmp_path / name, "cpu")


def test_a_pipe_in_the_place_of_a_known_model_is_refused_at_once() -> None:
    models_dir().mkdir(parents=True, exist_ok=True)
    os.mkfifo(models_dir() / "sam_vit_b_01ec64.pth")
    with pytest.raises(InputError, match="is a named pipe; expected the checkpoint of SAM ViT-B"):
        load_model("sam-vit-b", "cpu")


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.pth"
    torch.save({"image_encoder.pos_embed": torch.zeros(1)}, tmp_path / "small.pth")
    with (
        zipfile.ZipFile(tmp_path / "small.pth") as small,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for member in small.infolist():
            size = 200 << 20 if member.filename.endswith("data/0") else 0
            bomb.writestr(member.filename, bytes(size) or small.read(member))
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(ModelError, match=r"would unpack to 209,"):
        load_model(path, "cpu")


# What a file is, told by itself.


def of_sam(tensors: Tensors) -> None:
    """Put SAM's own file where it is kept."""
    models_dir().mkdir(parents=True, exist_ok=True)
    torch.save(tensors, models_dir() / "sam_vit_b_01ec64.pth")


def trained(tensors: Tensors, *, score: bool) -> Tensors:
    """Return a model with a trained decoder: all of it, or without the score's head, as SAMRI."""
    left = () if score else ("mask_decoder.iou_prediction_head.",)
    return {
        k: v + 0.01 if k.startswith("mask_decoder.") and not k.startswith(left) else v
        for k, v in tensors.items()
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("change", "stale"),
    [("nothing", False), ("all but the score's head", True), ("all", False)],
)
def test_a_score_is_stale_where_its_head_was_left_behind(
    tmp_path: Path, tensors: Tensors, change: str, stale: bool, dtype: torch.dtype
) -> None:
    of_sam(tensors)
    changed = tensors if change == "nothing" else trained(tensors, score=change == "all")
    torch.save(half(dtype)(changed), tmp_path / "any.pth")
    assert load_model(tmp_path / "any.pth", "cpu").spec.score_is_stale == stale


def test_nothing_is_claimed_of_a_score_that_cannot_be_told(
    tmp_path: Path, tensors: Tensors
) -> None:
    """SAM's own file is not here, or is torn."""
    torch.save(trained(tensors, score=True), tmp_path / "any.pth")
    assert load_model(tmp_path / "any.pth", "cpu").spec.score_is_stale
    models_dir().mkdir(parents=True, exist_ok=True)
    (models_dir() / "sam_vit_b_01ec64.pth").write_bytes(b"torn")
    assert load_model(tmp_path / "any.pth", "cpu").spec.score_is_stale


def test_a_training_file_of_medicosam_is_one(tmp_path: Path, tensors: Tensors) -> None:
    torch.save(medicosam(tensors), tmp_path / "best.pt")
    spec = load_model(tmp_path / "best.pt", "cpu").spec
    assert (spec.score_is_stale, spec.takes_points, spec.lone_point) == (False, True, "best")


def test_a_medsam_by_its_path_takes_no_points(tmp_path: Path, tensors: Tensors) -> None:
    torch.save(trained(tensors, score=True), tmp_path / "any.pth")
    spec = load_model(tmp_path / "any.pth", "cpu", family="medsam").spec
    assert (spec.score_is_stale, spec.takes_points, spec.lone_point) == (True, False, "single")


def test_a_published_file_is_known_by_its_digest(
    tmp_path: Path, tensors: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its name: here a file of ours stands for MedicoSAM's, whose digest is its own."""
    import pooch

    digest = "40169f1e3c03a4b67bff58249c176d92"
    torch.save(tensors, tmp_path / "renamed.pth")
    assert load_model(tmp_path / "renamed.pth", "cpu").spec.lone_point == "single"
    monkeypatch.setattr(
        pooch, "file_hash", lambda _, alg="sha256": digest if alg == "xxh128" else ""
    )
    spec = load_model(tmp_path / "renamed.pth", "cpu").spec
    assert (spec.id, spec.lone_point, spec.score_is_stale) == ("renamed", "best", False)
    assert "MedicoSAM, as published" in spec.description
