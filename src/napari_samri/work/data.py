"""Images and labels on disk that are no manifest yet: how they are read, and made one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  # what tasks hold is read by its annotations
from typing import TYPE_CHECKING

from napari_samri.datasets import Rules, Source, prepare_steps, read_manifest, write_manifest
from napari_samri.datasets.layouts import LAYOUTS
from napari_samri.errors import Cancelled, InputError, InputWarning
from napari_samri.options import option

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_samri.jobs import Cancel, Progressed


@dataclass(frozen=True, kw_only=True)
class Data:
    """A folder or a table of images and labels, and how its slices are chosen.

    Parameters
    ----------
    path : pathlib.Path
    layout : str
        Of a folder; empty to recognise it.
    patient_pattern : str
        Tells the patients of a folder; empty to tell them from names.
    channel : int or None
        Of 4D images, the volume that the labels belong to.
    rules : Rules
    """

    path: Path
    layout: str = option(
        "",
        label="Layout",
        # Tables are files, and this is about a folder.
        choices=(("recognised", ""), *((x.id, x.id) for x in LAYOUTS if x.id != "csv")),
        tip="How the folder is laid out, where it is not recognised rightly",
    )
    patient_pattern: str = option(
        "",
        label="Patient",
        tip="A regular expression on an image's path in the folder, whose first group is the "
        "patient, such as ^(p\\d+)_. Left empty, the names tell, without parts such as frame01 or "
        "ses-1",
    )
    channel: int | None = option(
        None,
        label="Channel",
        choices=(("none: 3D images", None), *((str(number), number) for number in range(16))),
        tip="Of 4D images, the channel or time point that the labels belong to, from 0",
    )
    rules: Rules = field(default_factory=Rules)

    def write_manifest(
        self, path: Path, cancel: Cancel
    ) -> Generator[Progressed, None, tuple[str, ...]]:
        """Prepare the data, and write their manifest.

        Yields
        ------
        Progressed
            After each study that was read.

        Returns
        -------
        problems : tuple of str
            What was left out, or could be meant otherwise.

        Raises
        ------
        Cancelled
            If `cancel` says so; nothing was written.
        InputError, StoreError
            If nothing can be used, or the file cannot be written.
        """
        source = Source(self.path, layout=self.layout or None, channel=self.channel)
        steps = prepare_steps(source, self.rules, patient_pattern=self.patient_pattern or ())
        notes: list[str] = []
        while True:
            # Step by step: what another part of the viewer warns of in between is none of ours.
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", InputWarning)
                try:
                    step = next(steps)
                except StopIteration as end:
                    manifest = end.value
                    break
            notes += _texts(caught)
            if cancel():
                message = "Stopped while the data set was read; nothing was written."
                raise Cancelled(message)
            yield step
        write_manifest(path, manifest)
        return (*manifest.problems, *notes, *_texts(caught))


def check_replaceable(path: Path) -> None:
    """Find out early that a file of the user's is where a bank's manifest goes.

    Raises
    ------
    InputError
        If there is something else than a manifest.
    """
    if path.exists():
        try:
            read_manifest(path)
        except InputError as error:
            message = (
                f"{path}: the manifest of this bank would go here, but there is something else "
                f"({error}). Move it, or choose another name for the bank."
            )
            raise InputError(message) from error


def _texts(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    return tuple(str(each.message) for each in caught if issubclass(each.category, InputWarning))
