"""The examples run, without a window."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
import pytest
from npe2 import PluginManifest

import napari_samri
from napari_samri.io.samples import make_phantom

if TYPE_CHECKING:
    from npe2 import PluginManager

EXAMPLES = Path(__file__).parents[1] / "examples"
MANIFEST = Path(napari_samri.__file__).parent / "napari.yaml"


@pytest.mark.slow
# Of napari and its own dependencies, which we cannot mend.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_annotate_in_console(
    npe2pm: PluginManager,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    npe2pm.register(PluginManifest.from_file(MANIFEST))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAPARI_SAMRI_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("sys.argv", ["annotate_in_console.py", "--no-window"])
    names = runpy.run_path(str(EXAMPLES / "annotate_in_console.py"))

    _, truth = make_phantom()
    labels = names["session"].labels
    for label, tissue in ((1, 1), (2, 4)):
        marked = labels[10] == label
        assert np.mean(truth.array[10][marked] == tissue) > 0.7, "the masks lie on the objects"
    assert not (labels[11] == 1).any()
    assert (labels[11] == 2).any()
    written = nib.load(tmp_path / "phantom_labels.nii.gz")
    stored = names["session"].volume.to_stored(labels)
    np.testing.assert_array_equal(np.asarray(written.dataobj), stored)
    assert (tmp_path / "phantom_labels.samri.json").is_file()
    assert not list((tmp_path / "state").glob("*")), "a session that was saved leaves no journal"
    assert " ml" in capsys.readouterr().out
