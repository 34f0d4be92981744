"""List the modules that a walk through the package passes, in this process and in its children.

    python tools/with_screen.py python tools/walks.py [label] [tune] [form]

`label`: a box is drawn on a file's image, becomes a mask, and the labels are saved. `tune`: a data
set becomes a manifest, a bank and a tuned decoder in the list of models. `form`: the Embed widget's
form becomes a job and its result is shown. A module is passed when one of its functions runs;
what runs while modules are imported does not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

# Children load it by its name when Python starts.
HOOK = """
import os, sys, threading
_seen, _file = set(), os.environ["SAMRI_WALK"]
def _ours(frame):
    name = frame.f_globals.get("__name__") or ""
    return name if name.startswith("napari_samri") else ""
def _hook(frame, event, _):
    name = _ours(frame)
    if event != "call" or not name or name in _seen:
        return
    outer = frame
    while outer is not None:
        if _ours(outer) and not outer.f_code.co_flags & 1:  # no function: a module is being made
            return
        outer = outer.f_back
    _seen.add(name)
    with open(_file, "a") as file:
        file.write(name + "\\n")
threading.setprofile(_hook)
sys.setprofile(_hook)
"""


def make_data(folder: Path) -> None:
    """Write three small images with labels, side by side."""
    rng = np.random.default_rng(0)
    for number in range(3):
        image = rng.normal(60, 5, (32, 32, 6))
        labels = np.zeros(image.shape, np.uint8)
        labels[8 : 20 + number, 9:22, 1:5] = 1
        image[labels > 0] += 80
        for end, array in (("img", image.astype(np.int16)), ("seg", labels)):
            file = folder / f"patient{number}_{end}.nii.gz"
            nib.Nifti1Image(array, np.diag([1, 1, 3, 1.0])).to_filename(file)


def label(folder: Path) -> None:
    """Draw a box on an image's slice, accept the mask, save the labels."""
    from napari.components import ViewerModel
    from npe2 import PluginManager

    from napari_samri import start_session

    PluginManager.instance().discover()
    viewer = ViewerModel()
    image = viewer.open(folder / "patient0_img.nii.gz", plugin="napari-samri")[0]
    annotation = start_session(viewer, image, model="starter")
    annotation.wait(300)
    annotation.add_box(9, 9, 21, 20)
    annotation.wait()
    annotation.session.commit()
    annotation.save(folder / "labels.nii.gz")
    annotation.close()


def tune(folder: Path) -> None:
    """Prepare, embed and fine-tune on the command line, and find the decoder among the models."""
    from napari_samri.cli import main
    from napari_samri.models import add_tuned, known_models

    manifest, bank, run = (str(folder / name) for name in ("m.json", "b.zarr", "run"))
    main(["prepare", str(folder), "--out", manifest, "--split", "2:1:0"])
    main(["embed", manifest, "--out", bank])
    main(["finetune", bank, "--out", run, "--epochs", "1", "--batch", "8", "--quota", "8"])
    add_tuned(folder / "run" / "best.safetensors", "tuned")
    print(len(known_models()), "models")


def form(folder: Path) -> None:
    """Fill in the Embed widget's form, start it, and wait for the bank."""
    import napari
    import segment_anything  # noqa: F401  # before a window is opened, as in the tests

    viewer = napari.Viewer(show=False)
    _, widget = viewer.window.add_plugin_dock_widget("napari-samri", "Embed")
    widget.form.source.value = "folder"
    widget.form.rows["folder"].value = folder
    widget.form.out.value = folder / "bank.zarr"
    widget.progress.buttons["embed"].click()
    while widget.job.status.busy:
        napari.qt.get_qapp().processEvents()
    print(widget.job.status.phase, widget.job.status.text)
    viewer.close()


WALKS = {"label": label, "tune": tune, "form": form}


def passed(name: str, source: Path | None = None) -> list[str]:
    """Run a walk in a process of its own; return the modules passed, in order."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "hook").mkdir()
        (folder / "hook" / "sitecustomize.py").write_text(HOOK)
        (folder / "data").mkdir()
        make_data(folder / "data")
        own = {f"NAPARI_SAMRI_{n}": str(folder / n) for n in ("CACHE", "MODELS", "STATE", "CONFIG")}
        paths = [str(folder / "hook"), *([str(source)] if source else [])]
        environment = {
            **os.environ,
            **own,
            "SAMRI_WALK": str(folder / "passed.txt"),
            "PYTHONPATH": os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")]),
        }
        command = [sys.executable, __file__, "--walk", name, str(folder / "data")]
        subprocess.run(command, check=True, env=environment)
        return list(dict.fromkeys((folder / "passed.txt").read_text().split()))


def main(arguments: list[str]) -> None:
    """Print the walks that are named, or all."""
    if arguments[:1] == ["--walk"]:
        WALKS[arguments[1]](Path(arguments[2]))
        return
    for name in arguments or WALKS:
        modules = passed(name)
        print(f"{name}: {len(modules)} modules")
        rooms: dict[str, list[str]] = {}
        for module in modules:
            room, _, rest = module.removeprefix("napari_samri.").partition(".")
            rooms.setdefault(room, []).append(rest)
        for room, names in rooms.items():
            print(f"- `{room}`: {', '.join(names)}" if any(names) else f"- `{room}`")


if __name__ == "__main__":
    main(sys.argv[1:])
