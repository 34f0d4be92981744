"""Files of tuned decoders: small, whole or not there, and refused if they are anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_samri.errors import InputError, ModelError, StoreError
from napari_samri.models.card import DecoderCard, read_decoder_card
from napari_samri.models.checkpoint import read_checkpoint
from napari_samri.models.tuned import write_decoder
from tests.tiny import random_tiny, tiny_tensors
from tests.tuning import make_card, make_decoder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return tiny_tensors()


def decoder_of(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k: v for k, v in tensors.items() if k.startswith("mask_decoder.")}


@pytest.mark.parametrize("what", ["model", "decoder", "own names", "half", "not contiguous"])
def test_the_decoder_alone_is_written_in_fp32(tmp_path: Path, what: str) -> None:
    sam = random_tiny()
    whole = sam.state_dict()
    given: dict[str, Any] = {
        "model": whole,
        "decoder": decoder_of(whole),
        "own names": sam.mask_decoder.state_dict(),
        "half": {k: v.half() for k, v in whole.items()},
        "not contiguous": {
            k: v.t().contiguous().t() if v.ndim == 2 else v for k, v in whole.items()
        },
    }
    path = tmp_path / "knees.safetensors"
    write_decoder(path, given[what], make_card())
    found = load_file(path)
    expected = decoder_of(whole)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.dtype == torch.float32
        wanted = expected[name].half().float() if what == "half" else expected[name]
        assert torch.equal(value, wanted)
    assert read_decoder_card(path) == make_card()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_vit_b_decoder_takes_16_mb(
    tmp_path: Path, vit_b_tensors: dict[str, torch.Tensor]
) -> None:
    path = make_decoder(tmp_path / "knees.safetensors", vit_b_tensors)
    assert 16.2e6 < path.stat().st_size < 16.3e6


def test_the_same_decoder_gives_the_same_bytes(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    one, two = (make_decoder(tmp_path / f"{n}.safetensors", tensors) for n in "ab")
    assert one.read_bytes() == two.read_bytes()


def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_decoder(tmp_path / "knees.safetensors", tensors)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(StoreError, match="No space left"):
        make_decoder(path, tensors, shift=1.0)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_is_not_written(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    with pytest.raises(InputError, match=r"\.safetensors"):
        write_decoder(tmp_path / "knees.pth", tensors, make_card())
    encoder = {k: v for k, v in tensors.items() if k.startswith("image_encoder.")}
    with pytest.raises(ModelError, match="found none"):
        write_decoder(tmp_path / "knees.safetensors", encoder, make_card())
    with pytest.raises(StoreError, match="folder exists"):
        write_decoder(tmp_path / "no" / "knees.safetensors", tensors, make_card())
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_decoders(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(InputError, match="no such file"):
        read_decoder_card(path)
    save_file(tensors, path)
    with pytest.raises(ModelError, match="expected a tuned decoder"):
        read_decoder_card(path)
    save_file(tensors, path, metadata=make_card().to_header())
    with pytest.raises(ModelError, match=r"others, .* 'image_encoder"):
        read_decoder_card(path)
    save_file({}, path, metadata=make_card().to_header())
    with pytest.raises(ModelError, match="found none"):
        read_decoder_card(path)


def test_a_torn_file_is_refused_wherever_it_was_cut(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    whole = make_decoder(tmp_path / "x.safetensors", tensors).read_bytes()
    path = tmp_path / "torn.safetensors"
    for length in (0, 1, 7, 8, 100, *range(1000, len(whole), len(whole) // 20)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"torn\.safetensors"):
            read_decoder_card(path)


def test_a_flipped_bit_is_refused_wherever_it_is(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    path = make_decoder(tmp_path / "x.safetensors", tensors)
    content = path.read_bytes()
    header = 8 + int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(3)
    places = [*rng.integers(8, header, 20), *rng.integers(header, len(content), 20)]
    for place in [*places, header - 1, header, len(content) - 1]:
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        with pytest.raises(ModelError, match=r"x\.safetensors: .*(digest|header)"):
            read_checkpoint(path)


def test_a_file_of_before_digests_is_loaded(
    tmp_path: Path, tensors: dict[str, torch.Tensor]
) -> None:
    path = tmp_path / "x.safetensors"
    save_file(decoder_of(tensors), path, metadata=make_card().to_header())
    found = read_checkpoint(path)
    assert DecoderCard.from_header(found.header, path) == make_card()
    for name, value in decoder_of(tensors).items():
        assert torch.equal(found.tensors[name], value)
