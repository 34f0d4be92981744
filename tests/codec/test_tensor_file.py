from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_samri.codec import DIGEST, matches_digest, with_digest

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(3, np.float16)}
TEXTS = {"card": json.dumps({"title": 'a "b" \\ \u00e9', DIGEST: "0" * 64})}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "x.safetensors"
    path.write_bytes(with_digest(save(TENSORS, TEXTS)))
    return path


def test_the_digest_is_of_the_file_with_zeros_in_its_place(whole: Path) -> None:
    content = whole.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    digest = header["__metadata__"].pop(DIGEST)
    assert header["__metadata__"] == TEXTS
    blank = content.replace(digest.encode(), b"0" * 64)
    assert hashlib.sha256(blank).hexdigest() == digest
    assert matches_digest(whole) is True


def test_tensors_are_as_without_it(whole: Path) -> None:
    found = load(whole.read_bytes())
    assert found.keys() == TENSORS.keys()
    for name, value in TENSORS.items():
        np.testing.assert_array_equal(found[name], value)


def test_a_file_without_a_digest_is_neither(tmp_path: Path) -> None:
    for content in (save(TENSORS, TEXTS), b"", b"{", b"\xff" * 8):
        (tmp_path / "x").write_bytes(content)
        assert matches_digest(tmp_path / "x") is None


@pytest.mark.parametrize("bit", [0, 3, 7])
def test_every_flipped_bit_is_seen(whole: Path, bit: int) -> None:
    """Also in the name of the digest: without it, the file would be one of before digests.

    A header that is no JSON any more is refused by whoever reads it.
    """
    content = whole.read_bytes()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        whole.write_bytes(changed)
        if matches_digest(whole) is not False:
            with pytest.raises(SafetensorError):
                load(bytes(changed))


def test_cut_or_longer(whole: Path) -> None:
    content = whole.read_bytes()
    for changed in (content[:-1], content + b"\0"):
        whole.write_bytes(changed)
        assert matches_digest(whole) is False
