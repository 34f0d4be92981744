"""Checkpoints: every published layout is read; what is torn, foreign or unsafe is refused."""

from __future__ import annotations

import io
import pickle
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file

from napari_samri.errors import InputError, ModelError
from napari_samri.models.checkpoint import WRAPPERS, read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

TENSORS = {
    "image_encoder.pos_embed": torch.arange(24.0).reshape(1, 2, 3, 4),
    "prompt_encoder.weight": torch.ones(3),
    "mask_decoder.bias": torch.tensor(2.0),
}


def prefixed(*prefixes: str) -> dict[str, torch.Tensor]:
    return {"".join(prefixes) + name: value for name, value in TENSORS.items()}


LAYOUTS: dict[str, Any] = {
    "plain, as SAM and SAMRI": TENSORS,
    "module.": prefixed("module."),
    "sam.": prefixed("sam."),
    "module.sam.": prefixed("module.", "sam."),
    "parameters": {name: torch.nn.Parameter(value) for name, value in TENSORS.items()},
    "MedSAM training file": {
        "model": prefixed("module."),
        "optimizer": {"state": {0: {"step": 3}}, "param_groups": [{"lr": 1e-4}]},
        "epoch": 12,
    },
    "MedicoSAM training file": {
        "model_state": prefixed("sam."),
        "decoder_state": {"decoder.weight": torch.zeros(2)},
        "optimizer_state": {},
        "iteration": 9,
    },
    **{f"wrapped in {name}": {name: TENSORS} for name in WRAPPERS},
}


def check_equal(found: dict[str, torch.Tensor]) -> None:
    assert found.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        assert torch.equal(found[name], value)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_tensors(tmp_path: Path, layout: str, zipped: bool) -> None:
    path = tmp_path / "model.pth"
    torch.save(LAYOUTS[layout], path, _use_new_zipfile_serialization=zipped)
    checkpoint = read_checkpoint(path)
    check_equal(checkpoint.tensors)
    assert checkpoint.path == path
    assert checkpoint.header == {}


@pytest.mark.parametrize("prefixes", [(), ("module.",), ("sam.",), ("module.", "sam.")])
def test_safetensors_with_its_header(tmp_path: Path, prefixes: tuple[str, ...]) -> None:
    path = tmp_path / "model.safetensors"
    save_file(prefixed(*prefixes), path, metadata={"about": "this file"})
    checkpoint = read_checkpoint(path)
    check_equal(checkpoint.tensors)
    assert checkpoint.header == {"about": "this file"}


def test_what_no_wrapper_puts_before_a_name_stays(tmp_path: Path) -> None:
    tensors = {"ema.sam.weight": torch.ones(1), "other.module_list.weight": torch.ones(1)}
    torch.save(tensors, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt").tensors.keys() == tensors.keys()


class Malicious:
    """Pickles as a call that makes a file."""

    def __init__(self, call: Callable[..., Any], *arguments: object) -> None:
        self.call = call
        self.arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return self.call, self.arguments


def save_with_torch(content: object, path: Path) -> None:
    torch.save(content, path)


def save_legacy(content: object, path: Path) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def save_plain_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


@pytest.mark.parametrize("save", [save_with_torch, save_legacy, save_plain_pickle])
@pytest.mark.parametrize("place", ["alone", "among tensors", "in the optimiser"])
def test_code_in_a_file_never_runs(
    tmp_path: Path, save: Callable[[object, Path], None], place: str
) -> None:
    trace = tmp_path / "trace"
    bomb = Malicious(Path.touch, trace)
    content = {
        "alone": bomb,
        "among tensors": {**TENSORS, "bomb": bomb},
        "in the optimiser": {"model": TENSORS, "optimizer": bomb},
    }[place]
    path = tmp_path / "model.pth"
    save(content, path)
    with pytest.raises(ModelError, match="refused") as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)
    assert not trace.exists(), "the code in the file ran"
    pickle.loads(pickle.dumps(bomb))  # noqa: S301  # proves that it would have run
    assert trace.exists()


def test_a_pickled_class_is_refused(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pth")
    with pytest.raises(ModelError, match="refused"):
        read_checkpoint(tmp_path / "model.pth")


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:Validating sparse tensor invariants:UserWarning")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.eye(3).to_sparse_csr(),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        lambda: torch.ones(3, dtype=torch.complex64),
        lambda: torch.ones(3, device="meta"),
    ],
    ids=["sparse", "sparse csr", "quantised", "complex", "meta"],
)
def test_tensors_that_are_not_dense_and_real_are_refused(
    tmp_path: Path, make: Callable[[], torch.Tensor]
) -> None:
    path = tmp_path / "model.pth"
    torch.save({**TENSORS, "odd.weight": make()}, path)
    with pytest.raises(ModelError, match=r"refused"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"epoch": 3, "names": ["a"]}, r"no tensors \(found: epoch \(int\), names"),
        ([torch.ones(1)], "holds a list"),
        (torch.ones(1), "holds a Tensor"),
        ({}, "no tensors"),
        ({"model": {}}, "no tensors"),
    ],
)
def test_anything_but_named_tensors_is_refused(tmp_path: Path, content: object, found: str) -> None:
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(ModelError, match=found):
        read_checkpoint(tmp_path / "model.pth")


def test_safetensors_without_tensors_is_refused(tmp_path: Path) -> None:
    save_file({}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="no tensors"):
        read_checkpoint(tmp_path / "model.safetensors")


def content_of(suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".safetensors":
        from safetensors.torch import save

        return save(TENSORS)
    torch.save(TENSORS, buffer, _use_new_zipfile_serialization=suffix == ".pth")
    return buffer.getvalue()


SUFFIXES = (".pth", ".pt", ".safetensors")  # .pt stands for the legacy format here


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, suffix: str) -> None:
    content = content_of(suffix)
    path = tmp_path / f"model{suffix}"
    for length in [*range(0, len(content), 17), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(ModelError) as caught:
            read_checkpoint(path)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_altered_file_is_read_or_refused(tmp_path: Path, suffix: str) -> None:
    """Never another error than ours, whatever the alteration."""
    content = content_of(suffix)
    path = tmp_path / f"model{suffix}"
    chance = random.Random(5)  # noqa: S311  # not for secrets
    refused = 0
    for _ in range(150):
        changed = bytearray(content)
        changed[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(changed)
        try:
            read_checkpoint(path)
        except ModelError:
            refused += 1
    assert refused > 10


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [b"", b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", b"{}", bytes(64), b"PK\x03\x04"],
    ids=["empty", "html", "json", "zeros", "zip start"],
)
def test_other_files_are_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_the_other_format_is_read_as_what_it_is(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content_of(".pth" if suffix == ".safetensors" else ".safetensors"))
    check_equal(read_checkpoint(path).tensors)


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir], ids=["missing", "folder"])
def test_no_such_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "model.pth"
    make(path)
    with pytest.raises(InputError, match=r"no such file|is a folder") as caught:
        read_checkpoint(path)
    assert str(path) in str(caught.value)


def test_a_flipped_bit_in_a_zip_is_refused(tmp_path: Path) -> None:
    """torch itself leaves the checksums of the archive out."""
    path = tmp_path / "model.pth"
    torch.save(TENSORS, path)
    content = bytearray(path.read_bytes())
    values = TENSORS["image_encoder.pos_embed"].numpy().tobytes()
    content[content.find(values) + 50] ^= 64
    path.write_bytes(content)
    changed = torch.load(path, weights_only=True)["image_encoder.pos_embed"]
    assert not torch.equal(changed, TENSORS["image_encoder.pos_embed"])
    with pytest.raises(ModelError, match=r"model\.pth: .*CRC"):
        read_checkpoint(path)


def test_a_zip_without_checksums_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(TENSORS, path)
    finally:
        torch.serialization.set_crc32_options(before)
    check_equal(read_checkpoint(path).tensors)
