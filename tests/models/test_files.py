"""Checkpoints from a real server: whole, verified and in place, or not there at all."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import xxhash

from napari_samri.errors import Cancelled, DownloadError, ModelError, StoreError
from napari_samri.models import Download, ModelSpec, fetch, find_model, local_path, models_dir
from tests.models.server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILENAME = "model.pth"
# Several chunks long, so that a transfer can be stopped half-way.
CONTENT = np.random.default_rng(3).bytes(1_500_000)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
XXH128 = f"xxh128:{xxhash.xxh128(CONTENT).hexdigest()}"
WRONG = f"sha256:{hashlib.sha256(b'another file').hexdigest()}"


@pytest.fixture(scope="module")
def _server() -> Iterator[Server]:
    with serving(CONTENT) as running:
        yield running


@pytest.fixture
def server(_server: Server) -> Server:
    _server.requests.clear()
    return _server


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def spec(url: str | None, digest: str | None = SHA256, size: int | None = None) -> ModelSpec:
    return ModelSpec(
        id="test-model",
        title="Test Model",
        family="sam",
        architecture="vit_b",
        download=Download(filename=FILENAME, url=url, digest=digest, size=size),
        licence="none",
        description="A model of this test.",
    )


def left_behind() -> list[str]:
    return [path.name for path in models_dir().glob("*")] if models_dir().exists() else []


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("digest", [SHA256, XXH128, SHA256.upper().replace("SHA", "sha"), None])
def test_a_good_file_is_moved_into_place(server: Server, digest: str | None) -> None:
    model = spec(server.url("good"), digest)
    assert local_path(model) is None
    path = fetch(model)
    assert path == models_dir() / FILENAME == local_path(model)
    assert path.read_bytes() == CONTENT
    # Without a published digest, that of the first file is kept.
    assert left_behind() == [FILENAME, *([] if digest else [f"{FILENAME}.sha256"])]
    assert fetch(model) == path
    assert server.requests == ["good"], "the second call must not go to the network"


@pytest.mark.parametrize("name", ["good", "good-unsized"])
def test_progress_grows_to_the_file_size(server: Server, name: str) -> None:
    reports: list[tuple[int, int]] = []
    fetch(
        spec(server.url(name), size=len(CONTENT)),
        lambda done, total: reports.append((done, total)),
    )
    done = [report[0] for report in reports]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)
    assert 0 < done[0] < len(CONTENT)
    assert {total for _, total in reports} == {len(CONTENT)}


def test_progress_without_any_known_size_never_goes_back(server: Server) -> None:
    reports: list[tuple[int, int]] = []
    fetch(spec(server.url("good-unsized")), lambda *report: reports.append(report))
    done = [report[0] for report in reports]
    assert done == sorted(done)
    assert done[-1] == len(CONTENT)
    assert {total for _, total in reports} == {0}


@pytest.mark.parametrize("digest", [WRONG, "xxh128:" + "0" * 32])
def test_a_wrong_digest_leaves_nothing(server: Server, digest: str) -> None:
    with pytest.raises(DownloadError, match="not the expected one") as caught:
        fetch(spec(server.url("good"), digest))
    assert server.requests == ["good"]
    assert left_behind() == []
    assert str(models_dir() / FILENAME) in str(caught.value)


@pytest.mark.parametrize("name", ["missing", "cut"])
@pytest.mark.parametrize("digest", [SHA256, None])
def test_a_failed_transfer_says_which_file_to_put_where(
    server: Server, name: str, digest: str | None
) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch(spec(server.url(name), digest))
    assert server.requests == [name]
    check_instructions(str(caught.value), server.url(name), digest)
    assert left_behind() == []


def test_no_network_says_which_file_to_put_where() -> None:
    url = f"http://127.0.0.1:{unused_port()}/model.pth"
    with pytest.raises(DownloadError) as caught:
        fetch(spec(url))
    check_instructions(str(caught.value), url, SHA256)
    assert left_behind() == []


def test_an_unknown_host_says_which_file_to_put_where() -> None:
    url = "http://host.invalid/model.pth"
    with pytest.raises(DownloadError) as caught:
        fetch(spec(url))
    check_instructions(str(caught.value), url, SHA256)


def check_instructions(message: str, url: str, digest: str | None) -> None:
    assert url in message
    assert f"put it at {models_dir() / FILENAME}" in message
    if digest:
        assert digest in message


@pytest.mark.parametrize("name", ["samri-box", "samri-bp", "samri-box-zero", "samri-bp-zero"])
def test_a_model_without_address_names_its_page(name: str) -> None:
    model = find_model(name)
    assert model.download is not None
    with pytest.raises(DownloadError, match="by hand") as caught:
        fetch(model)
    assert str(model.download.page) in str(caught.value)
    assert str(models_dir() / model.download.filename) in str(caught.value)


def test_the_model_in_the_package_has_nothing_to_fetch() -> None:
    with pytest.raises(ModelError, match="no file to download"):
        fetch(find_model("starter"))
    assert local_path(find_model("starter")) is None


def test_cancelling_leaves_nothing(server: Server) -> None:
    reports: list[int] = []

    def stop(done: int, total: int) -> None:
        reports.append(done)
        assert total == len(CONTENT)
        message = "stopped by the test"
        raise Cancelled(message)

    with pytest.raises(Cancelled, match="stopped by the test"):
        fetch(spec(server.url("good")), stop)
    assert len(reports) == 1
    assert reports[0] < len(CONTENT)
    assert left_behind() == []


@pytest.mark.parametrize("digest", [SHA256, XXH128, None])
def test_a_file_put_there_by_hand_needs_no_network(digest: str | None) -> None:
    models_dir().mkdir(parents=True)
    (models_dir() / FILENAME).write_bytes(CONTENT)
    model = spec(f"http://127.0.0.1:{unused_port()}/model.pth", digest)
    assert fetch(model) == models_dir() / FILENAME


def test_a_wrong_file_put_there_by_hand_is_refused_and_kept(server: Server) -> None:
    models_dir().mkdir(parents=True)
    path = models_dir() / FILENAME
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match="left as it is") as caught:
        fetch(spec(server.url("good")))
    assert path.read_bytes() == CONTENT[:-1]
    assert left_behind() == [FILENAME]
    assert server.requests == []
    for part in (str(path), SHA256.split(":")[1], hashlib.sha256(CONTENT[:-1]).hexdigest()):
        assert part in str(caught.value)


@pytest.mark.parametrize("inside", ["", "folder"])
def test_a_file_where_the_folder_should_be(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    obstacle = tmp_path / "models"
    obstacle.write_text("in the way")
    monkeypatch.setenv("NAPARI_SAMRI_MODELS", str(obstacle / inside))
    with pytest.raises(StoreError, match="NAPARI_SAMRI_MODELS"):
        fetch(spec(server.url("good")))
    assert obstacle.read_text() == "in the way"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on file sizes")
def test_a_full_disk_leaves_nothing(server: Server) -> None:
    """A limit on file sizes stands for the full disk: writes fail half-way, in a child process."""
    code = f"""
        import resource, signal
        from napari_samri.errors import StoreError
        from napari_samri.models import Download, ModelSpec, fetch
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
        spec = ModelSpec(
            id="m", title="M", family="sam", architecture="vit_b", licence="", description="",
            download=Download(filename="{FILENAME}", url="{server.url("good")}"),
        )
        try:
            fetch(spec)
        except StoreError as error:
            print("StoreError", error)
    """
    answer = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.startswith("StoreError")
    assert str(models_dir()) in answer.stdout
    assert left_behind() == []


def test_models_dir_is_the_variable_or_the_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAPARI_SAMRI_MODELS", str(tmp_path / "mine"))
    assert models_dir() == tmp_path / "mine"
    assert not models_dir().exists(), "asking for the folder must not make it"
    monkeypatch.delenv("NAPARI_SAMRI_MODELS")
    assert "napari-samri" in models_dir().parts


def test_any_page_can_be_the_source(server: Server) -> None:
    """Without an address and a page, the message still says what to do."""
    model = spec(None)
    assert model.download is not None
    for download, source in (
        (model.download, "its publisher"),
        (replace(model.download, page="https://page.invalid"), "https://page.invalid"),
    ):
        with pytest.raises(DownloadError, match=source):
            fetch(replace(model, download=download))
    assert server.requests == []
