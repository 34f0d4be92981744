"""Tasks about layers: what is in the viewer becomes files, which a process can read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_samri._napari.banks import is_of_bank
from napari_samri._napari.layers import is_usable, shown_plane, volume_of
from napari_samri._napari.placing import check_on_grid
from napari_samri.atomic import make_folder
from napari_samri.datasets import Rules
from napari_samri.errors import InputError
from napari_samri.io import in_radiological_order, label_volume, save_image, save_labels
from napari_samri.session import image_identity
from napari_samri.work import (
    IMAGES,
    Data,
    EmbedTask,
    FinetuneTask,
    WarmTask,
    facts_of_volume,
    first_free,
    slug,
    suggested_of_image,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_samri.geometry import Volume
    from napari_samri.work import Facts

    Array = NDArray[Any]

# Somebody who draws labels on one scan wants to train on them.
_ALL_FOR_TRAINING = Rules(train=1, validation=0, test=0)


@dataclass(frozen=True, eq=False)
class LayerPair:
    """An image and its labels, taken from layers.

    Parameters
    ----------
    name : str
        Of the image's layer.
    image : Volume
    labels : integer array
        Of the image's shape; a copy, since the layer may be painted on meanwhile.
    """

    name: str
    image: Volume
    labels: Array

    @property
    def bank(self) -> Path:
        """A place for its bank, beside its file."""
        return suggested_of_image(self.name, self.image.grid.path, ".zarr")

    def run(self, unfinished: Path | None = None) -> Path:
        """Return a place for a run beside its file: that of an unfinished run, or a new one."""
        path = suggested_of_image(self.name, self.image.grid.path, "_tuned")
        return first_free(path, unfinished)

    def facts(self) -> Facts:
        """Look at what there is to train on; raises an InputError if there is nothing."""
        return facts_of_volume(self.name, self.image, self.labels)

    def embedded(self, task: EmbedTask) -> Callable[[Path], EmbedTask]:
        """Return what writes it beside the bank of a task, as the data to be embedded."""

        def write(_: Path) -> EmbedTask:
            out = task.config.out
            folder = write_pair(out.with_name(f"{out.stem}_layers"), self)
            return replace(task, data=Data(path=folder))

        return write

    def tuned(self, task: FinetuneTask) -> Callable[[Path], FinetuneTask]:
        """Return what writes it into a job's folder, as the data to be trained on."""

        def write(folder: Path) -> FinetuneTask:
            self.facts()  # says what is wrong with it sooner than a process does
            images = write_pair(folder / IMAGES, self)
            return replace(task, data=Data(path=images, rules=_ALL_FOR_TRAINING))

        return write


def layer_pair(
    image: Image | None, labels: Labels | Image | None, *, copied: bool = True
) -> LayerPair:
    """Return what is to be embedded of two layers.

    Parameters
    ----------
    image, labels : napari layers or None
    copied : bool
        A copy of the labels as they are now, which drawing does not change.

    Raises
    ------
    InputError, GeometryError
        If one is missing or cannot be used, or they lie on different grids.
    """
    if image is None or labels is None:
        message = "choose an image layer and the labels layer on it; open or draw them first."
        raise InputError(message)
    volume, marked = volume_of(image), label_volume(volume_of(labels))
    if volume.array.ndim != 3:
        message = (
            f"the layer '{image.name}' has {volume.array.ndim} axes; expected a volume of 3 "
            "(slice, row, column)."
        )
        raise InputError(message)
    check_on_grid(image, labels)
    volume = replace(volume, array=np.asarray(volume.array))
    array = np.asarray(marked.array)
    return LayerPair(image.name, volume, array.copy() if copied else array)


def warm_task(
    viewer: ViewerModel, model: str, family: str | None, device: str
) -> tuple[WarmTask, Callable[[Path], WarmTask] | None]:
    """Return the task to embed the volume in view, across the axis in view.

    Returns
    -------
    task : WarmTask
    write : callable or None
        Writes the image into a job's folder; None if it has a file.

    Raises
    ------
    InputError, GeometryError
        If there is none, or no single slice of it is in view.
    """
    image = image_in_view(viewer)
    if image is None:
        message = "there is no image to embed; open one first."
        raise InputError(message)
    volume, plane = volume_of(image), shown_plane(viewer, image)
    if plane is None:
        message = (
            f"no slice of '{image.name}' is in view; show the viewer in 2D, on one of its slices."
        )
        raise InputError(message)
    path = volume.grid.path
    has_file = path is not None and path.exists()
    task = WarmTask(
        image=path if path is not None and has_file else Path(image.name),
        called=image.name,
        axis=plane.axis,
        time=plane.time,
        model=model,
        family=family,
        device=device,
    )

    def write(folder: Path) -> WarmTask:
        make_folder(folder / IMAGES)
        file = folder / IMAGES / "volume.nii"
        save_image(file, volume)
        return replace(task, image=file)

    return task, None if has_file else write


def image_in_view(viewer: ViewerModel) -> Image | None:
    """Return the selected image layer, or else the topmost one."""
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    usable = [image for image in images if is_usable(image) and not is_of_bank(image)]
    if viewer.layers.selection.active in usable:
        return viewer.layers.selection.active
    return usable[-1] if usable else None


def write_pair(folder: Path, pair: LayerPair) -> Path:
    """Write an image and its labels as NIfTI into a folder that is a data set then."""
    make_folder(folder)
    volume = pair.image
    # Two images of one name are two studies; one image with other labels is the same study.
    name = f"{slug(pair.name)}-{image_identity(volume)[:8]}"
    if volume.grid.path is None and not volume.grid.header:
        volume = in_radiological_order(volume)
    save_image(folder / f"{name}_img.nii.gz", volume)
    save_labels(folder / f"{name}_seg.nii.gz", pair.labels, volume)
    return folder
