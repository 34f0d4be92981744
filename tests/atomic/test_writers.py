"""Every writer of the library goes by `napari_samri.atomic`."""

from __future__ import annotations

import ast
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest

import napari_samri
from napari_samri import load_volume, save_labels
from napari_samri.datasets import Manifest, write_manifest
from napari_samri.io.sidecar import sidecar_path, writing_sidecar
from napari_samri.io.writing import save_image
from napari_samri.session.settings import CONFIG_VARIABLE, Settings, write_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PACKAGE = Path(napari_samri.__file__).parent
# A bank's files come from a stage inside of it, in which each is flushed.
STAGED = (PACKAGE / "atomic", PACKAGE / "embeddings" / "bank")


def calls_by_hand(tree: ast.AST) -> Iterator[str]:
    """Give the calls that put one file in the place of another."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        by_hand = {"NamedTemporaryFile", "mkstemp", "copystat", "renames"}
        # Of strings, `replace` takes two; of dates and dataclasses, names.
        one_path = isinstance(node.func, ast.Attribute) and len(node.args) == 1
        of_system = ast.unparse(node.func) in {"os.replace", "os.rename", "shutil.move"}
        if name in by_hand or of_system or (name == "replace" and one_path and not node.keywords):
            yield f"{ast.unparse(node)}"


def test_nobody_replaces_files_by_hand() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {call}"
        for path in PACKAGE.rglob("*.py")
        if path.parent not in STAGED
        for call in calls_by_hand(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()
    assert list(calls_by_hand(ast.parse("temporary.replace(path)"))) == ["temporary.replace(path)"]


def save_labels_of(folder: Path) -> Path:
    volume = load_volume(folder / "t1.nii")
    save_labels(folder / "l.nii.gz", np.ones(volume.array.shape, np.uint8), volume)
    return folder / "l.nii.gz"


def save_image_of(folder: Path) -> Path:
    save_image(folder / "i.nii.gz", load_volume(folder / "t1.nii"))
    return folder / "i.nii.gz"


def save_sidecar_of(folder: Path) -> Path:
    with writing_sidecar(folder / "l.nii.gz", {}):
        pass
    return sidecar_path(folder / "l.nii.gz")


def save_manifest_of(folder: Path) -> Path:
    write_manifest(folder / "m.json", Manifest((), ()))
    return folder / "m.json"


def save_settings_of(folder: Path) -> Path:
    write_settings(Settings())
    return folder / "settings.json"


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
@pytest.mark.parametrize(
    "save", [save_labels_of, save_image_of, save_sidecar_of, save_manifest_of, save_settings_of]
)
def test_links_and_permissions_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save: Callable[[Path], Path]
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path))
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4))
    nib.save(image, tmp_path / "t1.nii")
    path = save(tmp_path)
    expected = path.read_bytes()
    target = tmp_path / "far" / path.name
    target.parent.mkdir()
    target.write_bytes(b"old")
    target.chmod(0o640)
    path.unlink()
    path.symlink_to(target)
    save(tmp_path)
    assert path.is_symlink()
    assert target.read_bytes() == expected
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert list(target.parent.iterdir()) == [target]
