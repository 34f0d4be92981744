"""Labels of a viewer that are in no file yet, of sessions that run and of those that ended."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels

from napari_samri._napari.annotation import annotations_of
from napari_samri._napari.layers import (
    SUSPENDED_KEY,
    Suspended,
    reference_of,
    suspended_on,
    volume_of,
)
from napari_samri._napari.writer import check_not_moved
from napari_samri.session import Savable, discard_journal, prepare_save
from napari_samri.work import slug

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_samri._napari.annotation import Annotation


@dataclass(frozen=True, eq=False)
class Unsaved:
    """Labels that were changed since they were saved, of a session that runs or has ended."""

    layer: Labels
    annotation: Annotation | None

    @property
    def suggested(self) -> Path:
        """A path to save them to: next to the image's file."""
        reference = reference_of(self.layer.metadata)
        source = reference.grid.path if reference is not None else None
        name = self.layer.name.removesuffix(" labels")
        file = Path(f"{slug(name)}_labels.nii.gz")
        return source.with_name(file.name) if source is not None else file

    def save(self, path: Path | str) -> None:
        """Write them as NIfTI, with the record next to them.

        Raises
        ------
        InputError, GeometryError, StoreError
            If they cannot be written, or were moved in the viewer; an existing file is left as it
            was.
        """
        if self.annotation is not None:
            self.annotation.save(path)
            return
        check_not_moved(self.layer.as_layer_data_tuple()[1], self.layer.data.shape)
        left: Suspended = self.layer.metadata[SUSPENDED_KEY]
        volume, known = volume_of(self.layer), reference_of(self.layer.metadata) is not None
        labels = np.array(self.layer.data)
        prepare_save(Savable(volume, labels, left.document, known), path).run()
        self.layer.metadata[SUSPENDED_KEY] = replace(left, unsaved=False)
        discard_journal(left.journal)


def unsaved_labels(viewer: ViewerModel) -> list[Unsaved]:
    """Return all labels of a viewer that have to be saved before it closes, or would be lost."""
    running = {
        id(each.canvas.labels): each
        for each in annotations_of(viewer).values()
        if each.session.unsaved and each.session.labels.any()
    }
    found = []
    for layer in viewer.layers:
        if isinstance(layer, Labels):
            left = suspended_on(layer)
            ended = left is not None and left.unsaved and layer.data.any()
            if id(layer) in running or ended:
                found.append(Unsaved(layer, running.get(id(layer))))
    return found
