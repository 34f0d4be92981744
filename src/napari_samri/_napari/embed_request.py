"""What the Embed widget is asked to do: frozen requests, and the files that a run needs first."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_samri._napari.bank_view import is_of_bank
from napari_samri._napari.layers import is_usable, volume_of
from napari_samri._napari.placing import check_on_grid
from napari_samri._napari.planes import shown_plane
from napari_samri.atomic import make_folder
from napari_samri.datasets import Source, prepare_steps, read_manifest, write_manifest
from napari_samri.errors import Cancelled, InputError, InputWarning
from napari_samri.filenames import expand_user, has_suffix, stem_of
from napari_samri.io import in_radiological_order, label_volume, save_image, save_labels
from napari_samri.places import home_folder
from napari_samri.session import image_identity

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel
    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_samri.datasets import Manifest, Rules
    from napari_samri.geometry import Plane, Volume
    from napari_samri.jobs import Cancel, Progressed

    Array = NDArray[Any]

BANK_SUFFIX = ".zarr"
SOURCE_SUFFIXES = (BANK_SUFFIX, ".json", ".csv", ".tsv")


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


@dataclass(frozen=True, eq=False, kw_only=True)
class EmbedRequest:
    """Embed a training set into a bank.

    Parameters
    ----------
    source : path or LayerPair
        A manifest, or a folder or CSV to be prepared, or layers.
    out : path
        The bank, made or appended to.
    model, device, quantisation : str
    workers : int
        Processes at once.
    layout : str
        Of a folder; empty to recognise it.
    patient_pattern : str
        Tells the patients of a folder; empty to tell them from names.
    channel : int or None
        Of 4D images in a folder, the volume that the labels belong to.
    """

    source: Path | LayerPair
    out: Path
    model: str = "starter"
    device: str = "auto"
    quantisation: str = "float16"
    workers: int = 1
    layout: str = ""
    patient_pattern: str = ""
    channel: int | None = None

    @property
    def title(self) -> str:
        """For people."""
        return f"Embedding into {self.out.name}"

    def arguments(self, manifest: Path) -> list[list[str]]:
        """Return the command line of each worker."""
        common = ["embed", str(manifest), "--out", str(self.out), "--model", self.model]
        common += ["--device", self.device, "--quantise", self.quantisation]
        if self.workers == 1:
            return [common]
        return [
            [*common, "--rank", str(rank), "--of", str(self.workers)]
            for rank in range(self.workers)
        ]


@dataclass(frozen=True, eq=False, kw_only=True)
class WarmRequest:
    """Embed all slices of a volume, along an axis, into the cache that the Segment widget uses.

    Parameters
    ----------
    name : str
        Of the image's layer.
    image : Volume
    plane : Plane
        Gives the display axis, and the time point of a 4D image.
    model, device : str
    """

    name: str
    image: Volume
    plane: Plane
    model: str = "starter"
    device: str = "auto"

    @property
    def title(self) -> str:
        """For people."""
        return f"Embedding {self.name}"

    @property
    def file(self) -> Path | None:
        """What the image was read from, if that is still there."""
        path = self.image.grid.path
        return path if path is not None and path.exists() else None

    def arguments(self, file: Path) -> list[str]:
        """Return the command line."""
        result = ["embed", "--warm", str(file), "--model", self.model, "--device", self.device]
        result += ["--axis", str(self.plane.axis)]
        if self.plane.time is not None:
            result += ["--time", str(self.plane.time)]
        return result


def bank_path(path: Path | None) -> Path:
    """Return where a bank goes: what was typed, with the suffix of banks.

    Raises
    ------
    InputError
        If nothing was typed, or there is no folder to make it in.
    """
    if path is None or not path.name:
        message = "there is no place for the bank yet; choose a folder and a name, NAME.zarr."
        raise InputError(message)
    path = expand_user(path)
    if not has_suffix(path, [BANK_SUFFIX]):
        path = path.with_name(f"{path.name}{BANK_SUFFIX}")
    if not path.parent.is_dir():
        message = f"{path}: the folder {path.parent} does not exist; make it first."
        raise InputError(message)
    return path.absolute()


def suggested_bank(source: Path | LayerPair | None) -> Path | None:
    """Return a place for a bank beside its source."""
    if isinstance(source, LayerPair):
        file = source.image.grid.path
        return (file.parent if file else home_folder()) / f"{slug(source.name)}{BANK_SUFFIX}"
    if source is None or not source.name or not source.exists():
        return None
    name = stem_of(source, SOURCE_SUFFIXES) if source.is_file() else source.name
    return source.with_name(name + BANK_SUFFIX)


def layer_pair(
    image: Image | None, labels: Labels | Image | None, *, copied: bool = True
) -> LayerPair:
    """Return what is to be embedded of two layers.

    Parameters
    ----------
    image, labels : napari layers or None
    copied : bool
        Labels as they are now; else they change while somebody draws.

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


def warm_request(viewer: ViewerModel, model: str, device: str) -> WarmRequest:
    """Return the request to embed the volume in view, across the axis in view.

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
    return WarmRequest(name=image.name, image=volume, plane=plane, model=model, device=device)


def image_in_view(viewer: ViewerModel) -> Image | None:
    """Return the selected image layer, or else the topmost one."""
    images = [layer for layer in viewer.layers if isinstance(layer, Image)]
    usable = [image for image in images if is_usable(image) and not is_of_bank(image)]
    if viewer.layers.selection.active in usable:
        return viewer.layers.selection.active
    return usable[-1] if usable else None


def ready_manifest(
    request: EmbedRequest, cancel: Cancel
) -> Generator[Progressed, None, tuple[Path, tuple[str, ...]]]:
    """Prepare the source of a request, unless it is a manifest.

    Yields
    ------
    Progressed
        After each study that was read.

    Returns
    -------
    manifest : pathlib.Path
        The source, or a new one beside the bank.
    problems : tuple of str
        What was left out.

    Raises
    ------
    Cancelled
        If `cancel` says so; nothing was written.
    InputError, StoreError
        If nothing can be used, or a file cannot be written.
    """
    source = request.source
    if isinstance(source, Path) and source.is_file() and has_suffix(source, [".json"]):
        return source, read_manifest(source).problems
    path = request.out.with_suffix(".json")
    _check_replaceable(path)
    if isinstance(source, LayerPair):
        data = Source(write_pair(request.out.with_name(f"{request.out.stem}_layers"), source))
    else:
        data = Source(source, layout=request.layout or None, channel=request.channel)
    manifest, notes = yield from prepared(data, cancel, patient_pattern=request.patient_pattern)
    write_manifest(path, manifest)
    return path, (*manifest.problems, *notes)


def prepared(
    source: Path | Source,
    cancel: Cancel,
    rules: Rules | None = None,
    *,
    patient_pattern: str = "",
) -> Generator[Progressed, None, tuple[Manifest, tuple[str, ...]]]:
    """Prepare a data set; return its manifest, and notes on it.

    Yields
    ------
    Progressed
        After each study that was read.

    Raises
    ------
    Cancelled
        If `cancel` says so.
    InputError
        If nothing can be used.
    """
    steps = prepare_steps(source, rules, patient_pattern=patient_pattern or ())
    notes: list[str] = []
    while True:
        # Step by step: what another part of the viewer warns of in between is none of ours.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InputWarning)
            try:
                step = next(steps)
            except StopIteration as end:
                return end.value, (*notes, *_texts(caught))
        notes += _texts(caught)
        if cancel():
            message = "Stopped while the data set was read; nothing was written."
            raise Cancelled(message)
        yield step


def _texts(caught: list[warnings.WarningMessage]) -> list[str]:
    return [str(each.message) for each in caught if issubclass(each.category, InputWarning)]


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


def existing_source(path: Path | None) -> Path:
    """Return a manifest, or a folder or CSV of a data set.

    Raises
    ------
    InputError
        If none was chosen, or nothing lies there.
    """
    if path is None or not path.name:
        message = "there is no data set yet; choose a folder, a manifest or layers."
        raise InputError(message)
    path = expand_user(path).absolute()
    if not path.exists():
        message = f"{path}: there is no such file or folder; expected a data set."
        raise InputError(message)
    return path


def _check_replaceable(path: Path) -> None:
    """Find out early that a file of the user's is in the manifest's place."""
    if path.exists():
        try:
            read_manifest(path)
        except InputError as error:
            message = (
                f"{path}: the manifest of this bank would go here, but there is something else "
                f"({error}). Move it, or choose another name for the bank."
            )
            raise InputError(message) from error


def slug(name: str) -> str:
    """Return a name for files: letters, digits, dots and dashes."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "image"
