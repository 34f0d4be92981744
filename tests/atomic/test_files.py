from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from napari_samri.atomic import make_folder, replacing
from napari_samri.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")


def write(path: Path, text: str = "new", **options: bool) -> None:
    with replacing(path, **options) as temporary:
        temporary.write_text(text)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o666, 0o755, 0o604])
@pytest.mark.parametrize("durable", [False, True])
def test_permissions_stay(tmp_path: Path, mode: int, durable: bool) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_text("old")
    path.chmod(mode)
    write(path, durable=durable)
    assert (path.read_text(), mode_of(path)) == ("new", mode)


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002, 0o027])
def test_a_new_file_has_what_the_umask_leaves(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write(tmp_path / "ours")
        (tmp_path / "plain").touch()
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "ours") == mode_of(tmp_path / "plain") == 0o666 & ~mask


@posix
def test_what_replaces_a_private_file_is_private_all_the_time(tmp_path: Path) -> None:
    path = tmp_path / "secret.json"
    path.touch(0o600)
    with replacing(path) as temporary:
        assert mode_of(temporary) == 0o600


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root to chown")
def test_the_owner_stays_where_the_system_lets_us(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.touch(0o640)
    os.chown(path, 4321, 8765)
    write(path)
    state = path.stat()
    assert (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (4321, 8765, 0o640)


@posix
def test_another_group_gets_no_more_than_everybody_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replacing a colleague's file whose group we are not in."""
    path = tmp_path / "a.json"
    path.touch()
    path.chmod(0o664)
    seen = os.stat_result((0o100664, 1, 1, 1, 4321, 8765, 0, 0, 0, 0))
    monkeypatch.setattr("napari_samri.atomic.files.check_target", lambda _: seen)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    write(path)
    assert mode_of(path) == 0o644


@pytest.mark.skipif(sys.platform != "linux", reason="extended attributes of Linux")
def test_extended_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.touch()
    try:
        os.setxattr(path, "user.study", b"knee")
    except OSError as error:
        pytest.skip(f"no extended attributes on this disk: {error}")
    write(path)
    assert os.getxattr(path, "user.study") == b"knee"
    assert path.read_text() == "new"


@posix
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("relative", [True, False])
def test_a_link_stays_and_its_target_is_written(
    tmp_path: Path, there: bool, relative: bool
) -> None:
    far = tmp_path / "far"
    far.mkdir()
    target = far / "real.nii.gz"
    if there:
        target.write_text("old")
        target.chmod(0o640)
    first, second = tmp_path / "first.nii.gz", far / "second.nii.gz"
    first.symlink_to("far/second.nii.gz" if relative else second)
    second.symlink_to("../far/real.nii.gz" if relative else target)
    write(first)
    assert first.is_symlink()
    assert second.is_symlink()
    assert target.read_text() == "new"
    assert not target.is_symlink()
    if there:
        assert mode_of(target) == 0o640
    assert sorted(p.name for p in far.iterdir()) == ["real.nii.gz", "second.nii.gz"]


@posix
def test_a_link_in_a_folder_that_is_a_link(tmp_path: Path) -> None:
    """What ``..`` means in a link depends on where its folder really is."""
    (tmp_path / "deep" / "inside").mkdir(parents=True)
    (tmp_path / "deep" / "real.json").write_text("old")
    (tmp_path / "deep" / "inside" / "a.json").symlink_to("../real.json")
    (tmp_path / "short").symlink_to("deep/inside")
    write(tmp_path / "short" / "a.json")
    assert (tmp_path / "deep" / "real.json").read_text() == "new"
    assert not (tmp_path / "real.json").exists()


@posix
def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StoreError, match="circle"):
        write(tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@posix
def test_a_link_into_a_folder_that_is_gone_is_refused_and_names_both(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("gone/b.json")
    with pytest.raises(StoreError, match=r"a\.json \(a link to .*gone/b\.json\)"):
        write(tmp_path / "a.json")
    assert (tmp_path / "a.json").is_symlink()


@posix
def test_another_name_of_the_old_file_keeps_its_content(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("old")
    other.hardlink_to(path)
    write(path)
    assert (path.read_text(), other.read_text()) == ("new", "old")


def test_a_read_only_file_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "truth.nii.gz"
    path.write_text("old")
    path.chmod(0o444)
    # Root may write everything: what the system says is what counts.
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(StoreError, match="read-only"):
        write(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_a_pipe_and_a_folder_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for name, what in (("pipe", "pipe"), ("folder", "folder"), ("link", "folder")):
        with pytest.raises(StoreError, match=what):
            write(tmp_path / name)


@pytest.mark.parametrize("name", ["a\0b", "a\0.json"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="null"):
        write(tmp_path / name)
    with pytest.raises(StoreError, match="null"):
        make_folder(tmp_path / name)
    with pytest.raises(StoreError, match="cannot be written"):
        write(tmp_path / ("x" * 5000))


NAMES = ["x" * 251 + ".nii", "ß" * 125 + ".json", "-n.json", ".nii.gz", "two\nlines.json"]


@pytest.mark.parametrize("name", [*NAMES, "un\udcffpaired.json", "a b.c d", "~", "no-suffix."])
def test_odd_names_are_written(tmp_path: Path, name: str) -> None:
    try:
        (tmp_path / name).write_text("old")
    except (OSError, UnicodeError) as error:
        pytest.skip(f"this disk has no such names: {error}")
    write(tmp_path / name)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "new"


@pytest.mark.parametrize(
    ("name", "ending"),
    [("a.nii.gz", ".nii.gz"), (".nii.gz", ".nii.gz"), ("s.ses-1_T1.nii", ".nii"), ("a", ".part")],
)
def test_temporary_names_end_as_the_target_does(tmp_path: Path, name: str, ending: str) -> None:
    with replacing(tmp_path / name) as temporary:
        assert temporary.name.endswith(ending)
        assert temporary.parent == tmp_path


def test_a_failure_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail(error: BaseException) -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(StoreError, match="No space left"):
        fail(OSError(28, "No space left on device"))
    with pytest.raises(KeyboardInterrupt):
        fail(KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "old"


def test_durable_content_is_flushed_before_it_takes_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "a", []
    path.write_text("old")
    flush = os.fsync

    def watch(descriptor: int) -> None:
        seen.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.read_text()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write(path, "newer")
    assert seen == []
    write(path, durable=True)
    assert seen == [(False, "newer"), (True, "new")]
