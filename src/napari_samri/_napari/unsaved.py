"""Labels in a viewer that are in no file yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels

from napari_samri._napari.annotation import SUSPENDED_KEY, Suspended, annotations_of
from napari_samri._napari.layers import reference_of, volume_of
from napari_samri._napari.moved import check_not_moved
from napari_samri.session import discard_journal, prepare_save
from napari_samri.work import slug

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_samri._napari.annotation import Annotation
    from napari_samri.session import Document


@dataclass(frozen=True, eq=False)
class Unsaved:
    """Labels that were changed since they were saved, of a session that runs or has ended."""

    layer: Labels
    annotation: Annotation | None

    @property
    def suggested(self) -> Path:
        """Where they would go: beside the image's file."""
        reference = reference_of(self.layer.metadata)
        source = reference.grid.path if reference is not None else None
        name = self.layer.name.removesuffix(" labels")
        file = Path(f"{slug(name)}_labels.nii.gz")
        return source.with_name(file.name) if source is not None else file

    def save(self, path: Path | str) -> None:
        """Write them as NIfTI, with the record beside them.

        Raises
        ------
        InputError, GeometryError, StoreError
            If that cannot be, or they were moved in the viewer; what was there before is still
            there.
        """
        if self.annotation is not None:
            self.annotation.save(path)
            return
        check_not_moved(self.layer.as_layer_data_tuple()[1], self.layer.data.shape)
        left: Suspended = self.layer.metadata[SUSPENDED_KEY]
        prepare_save(_Left(self.layer, left.document), path).run()
        self.layer.metadata[SUSPENDED_KEY] = replace(left, unsaved=False)
        discard_journal(left.journal)


class _Left:
    """What a session that has ended left behind, as `prepare_save` takes it."""

    revision = 0

    def __init__(self, layer: Labels, document: Document) -> None:
        self.labels = np.array(layer.data)
        self.volume = volume_of(layer)  # its voxels do not matter here
        self.document = document
        self.grid_is_known = reference_of(layer.metadata) is not None


def unsaved_labels(viewer: ViewerModel) -> list[Unsaved]:
    """Return all labels of a viewer that would be asked about before it closes."""
    running = {
        id(each.link.canvas.labels): each
        for each in annotations_of(viewer).values()
        if each.session.unsaved and each.session.labels.any()
    }
    found = []
    for layer in viewer.layers:
        if isinstance(layer, Labels):
            left = layer.metadata.get(SUSPENDED_KEY)
            ended = isinstance(left, Suspended) and left.unsaved and layer.data.any()
            if id(layer) in running or ended:
                found.append(Unsaved(layer, running.get(id(layer))))
    return found
