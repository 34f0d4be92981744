"""Files without a published digest are pinned on their first use."""

from __future__ import annotations

import pytest

from napari_samri.errors import DownloadError
from napari_samri.models import Download, ModelSpec, fetch, models_dir

SPEC = ModelSpec(
    id="by-hand",
    title="By hand",
    family="sam",
    architecture="vit_b",
    download=Download(filename="by-hand.pth", page="https://example.org"),
    licence="none",
    description="A model that has to be downloaded by hand.",
)


def test_a_file_that_changes_after_its_first_use_is_refused() -> None:
    path = models_dir() / "by-hand.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"first")
    assert fetch(SPEC) == path
    assert fetch(SPEC) == path
    path.write_bytes(b"second")
    with pytest.raises(DownloadError, match=r"the file first used \(by-hand.pth.sha256\)"):
        fetch(SPEC)
    assert path.read_bytes() == b"second"
    path.with_name("by-hand.pth.sha256").unlink()
    assert fetch(SPEC) == path


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00\x81", b"", b"0" * 63, b"g" * 64, b"md5:" + b"0" * 64, b"0" * (1 << 20)],
    ids=range(6),
)
def test_a_damaged_pin_is_refused_and_kept(content: bytes) -> None:
    path = models_dir() / "by-hand.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"first")
    pin = path.with_name("by-hand.pth.sha256")
    pin.write_bytes(content)
    with pytest.raises(DownloadError, match=r"by-hand.pth.sha256: .*64 hexadecimal digits") as told:
        fetch(SPEC)
    assert len(str(told.value)) < 500
    assert pin.read_bytes() == content
    pin.unlink()
    assert fetch(SPEC) == path


def test_a_pin_that_is_no_file_is_refused() -> None:
    path = models_dir() / "by-hand.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"first")
    path.with_name("by-hand.pth.sha256").mkdir()
    with pytest.raises(DownloadError, match="is no file"):
        fetch(SPEC)
