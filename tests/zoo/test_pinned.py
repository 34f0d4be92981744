"""Files without a published digest are pinned on their first use."""

from __future__ import annotations

import pytest

from napari_samri.errors import DownloadError
from napari_samri.zoo import Download, ModelSpec, fetch, models_dir

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
