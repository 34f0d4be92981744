"""Folders for users who have a home, who have none, and who share a machine."""

from __future__ import annotations

import os
import stat
import tempfile
import warnings
from pathlib import Path

import pytest

from napari_samri import places
from napari_samri.embeddings.cache import cache_dir
from napari_samri.errors import InputError, InputWarning, StoreError
from napari_samri.filenames import expand_user
from napari_samri.jobs.job_folder import state_dir
from napari_samri.models import models_dir
from napari_samri.places import home_folder, user_folder
from napari_samri.session.settings import settings_path

VARIABLES = ("CACHE", "MODELS", "STATE", "CONFIG")
FOLDERS = (cache_dir, models_dir, state_dir, settings_path)
posix = pytest.mark.skipif(os.name != "posix", reason="folders of a user by number")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder for temporary files; no variable says where our folders are."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    for name in VARIABLES:
        monkeypatch.delenv(f"NAPARI_SAMRI_{name}")
    for kind in ("CACHE_HOME", "DATA_HOME", "STATE_HOME", "CONFIG_HOME"):
        monkeypatch.delenv(f"XDG_{kind}", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    places._tell.cache_clear()
    return folder


@pytest.fixture
def homeless(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No HOME, and nobody of this number in the list of users."""
    import pwd

    def nobody(number: int) -> None:
        message = f"getpwuid(): uid not found: {number}"
        raise KeyError(message)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    return temporary


def test_a_home(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    for folder in FOLDERS:
        assert (tmp_path / "me") in folder().parents
    assert list(temporary.iterdir()) == []


@posix
def test_without_a_home_folders_are_private_and_said_once(homeless: Path) -> None:
    private = homeless / f"napari-samri-{os.getuid()}"
    with pytest.warns(InputWarning, match=r"no home folder.*NAPARI_SAMRI_"):
        found = [folder() for folder in FOLDERS]
    assert all(private in path.parents for path in found)
    assert len(set(found)) == len(FOLDERS)
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [folder() for folder in FOLDERS] == found
    assert home_folder() == Path.cwd()


@posix
@pytest.mark.parametrize("trap", ["open to others", "a link", "a file"])
def test_a_folder_that_could_be_another_ones_is_refused(
    homeless: Path, tmp_path: Path, trap: str
) -> None:
    private = homeless / f"napari-samri-{os.getuid()}"
    match trap:
        case "open to others":
            private.mkdir()
            private.chmod(0o777)
        case "a link":
            (tmp_path / "elsewhere").mkdir(mode=0o700)
            private.symlink_to(tmp_path / "elsewhere")
        case "a file":
            private.touch()
    with pytest.raises(StoreError, match="et HOME or TMPDIR"):
        cache_dir()


@posix
def test_a_home_in_which_nothing_can_be_made(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as '/' for users without an entry; root may write there, so a file stands for it."""
    home = tmp_path / "home"
    home.touch()
    monkeypatch.setenv("HOME", str(home))
    with pytest.warns(InputWarning, match="cannot be made"):
        assert temporary in state_dir().parents


@posix
def test_relative_folders_of_the_system_are_ignored(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # releases of platformdirs differ
        assert cache_dir().is_absolute()


def test_our_variable_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAPARI_SAMRI_CACHE", str(tmp_path))
    assert user_folder("cache", "NAPARI_SAMRI_CACHE") == tmp_path
    assert cache_dir() == tmp_path


def test_homes_of_nobody() -> None:
    with pytest.raises(InputError, match="home folder"):
        expand_user("~nobody-of-this-name/t1.nii.gz")
    assert expand_user("a~b") == Path("a~b")
