"""Every Python and console block of the documentation runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from npe2 import PluginManifest

import napari_samri
from napari_samri.cli import main
from tests.datasets.making import make_pairs, noise, write
from tests.embeddings.bank.made_up import HEADER, make_part
from tests.embeddings.bank.made_up import manifest as made_up_rows

if TYPE_CHECKING:
    from npe2 import PluginManager

MANIFEST = Path(napari_samri.__file__).parent / "napari.yaml"
ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def brain() -> nib.Nifti1Image:
    """A bright ellipsoid, as large as the pages' prompts expect."""
    grid = np.mgrid[:64, :70, :24].astype(float)
    centre, radii = np.array([34, 36, 12]), np.array([14, 14, 9])
    inside = (((grid.T - centre) / radii) ** 2).sum(axis=-1).T < 1
    voxels = 200 * inside + np.random.default_rng(0).normal(50, 5, inside.shape)
    return nib.Nifti1Image(voxels.astype(np.int16), np.diag([1, 1, 3, 1]))


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, npe2pm: PluginManager) -> Path:
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    monkeypatch.chdir(tmp_path)
    nib.save(brain(), tmp_path / "brain.nii.gz")
    make_pairs(tmp_path / "knees", count=30)
    for number in range(2):
        write(tmp_path / "unlabelled" / f"p{number}.nii.gz", noise(number, (12, 14, 3)))
    for name in ("knees", "hearts"):
        make_part(tmp_path / f"{name}.zarr", HEADER, made_up_rows(70, name=name))
    page = (ROOT / "docs/reference/prompt-files.md").read_text()
    (json_block,) = (body for kind, body in BLOCK.findall(page) if kind == "json")
    (tmp_path / "prompts.json").write_text(json_block)
    for registry in (
        "models.registry.MODELS",
        "models.architecture.ARCHITECTURES",
        "models.preprocessing.PREPROCESSINGS",
        "io.registry._readers",
        "evaluation.metrics.METRICS",
    ):
        monkeypatch.setattr(f"napari_samri.{registry}._registered", [])
    return tmp_path


# Of napari and its own dependencies, which we cannot mend.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, workplace: Path) -> None:
    names: dict[str, object] = {}
    for kind, body in BLOCK.findall(page.read_text()):
        if kind == "python":
            exec(compile(body, str(page), "exec"), names)  # noqa: S102  # that is the test
        elif kind == "console":
            for line in body.splitlines():
                command = line.removeprefix("$ ")
                assert command.startswith("napari-samri "), line
                assert main(shlex.split(command)[1:]) == 0


def test_links_and_pictures_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page}: {target}"
