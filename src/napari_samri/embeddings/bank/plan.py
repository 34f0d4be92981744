"""The plan of a part: which slice is its row 0, 1, 2, ..., and what is known of each.

A plan is a manifest without the places of the data sets, so that a bank says nothing about
the machine it was made on. The same header and plan give the same part, whoever makes it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.datasets import SPLITS, Manifest, manifest_to_json
from napari_samri.embeddings.bank.arrays import SHARD_ROWS, columns, row_arrays

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from napari_samri.datasets import SliceEntry, Study
    from napari_samri.embeddings.bank.arrays import Column, RowArray
    from napari_samri.embeddings.bank.header import BankHeader

    Table = dict[str, NDArray[Any]]

SlicePlace = tuple[str, str, int, int]


@dataclass(frozen=True)
class PartPlan:
    """The rows of a part, in the order of the manifest's studies and slices.

    Parameters
    ----------
    header : BankHeader
    manifest : Manifest
        Only the studies and slices of this part; its data sets have no root.
    """

    header: BankHeader
    manifest: Manifest

    @classmethod
    def of(cls, header: BankHeader, manifest: Manifest) -> PartPlan:
        """Make the plan of all slices of a manifest."""
        datasets = tuple(replace(dataset, root="") for dataset in manifest.datasets)
        studies = tuple(study for study in manifest.studies if study.slices)
        plain = replace(manifest, datasets=datasets, studies=studies, problems=(), left_out={})
        return cls(header, plain)

    @cached_property
    def content(self) -> bytes:
        """The manifest as JSON."""
        return manifest_to_json(self.manifest)

    @cached_property
    def id(self) -> str:
        """32 hexadecimal digits: a hash of header and rows."""
        return self.id_of(self.header, self.content)

    @staticmethod
    def id_of(header: BankHeader, content: bytes) -> str:
        """Return the id of the plan with this content."""
        head = json.dumps(header.as_dict(), sort_keys=True).encode()
        return hashlib.sha256(head + b"\n" + content).hexdigest()[:32]

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """First row of each study, and the number of rows in all."""
        counts = [len(study.slices) for study in self.manifest.studies]
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return int(self._starts[-1])

    @property
    def shards(self) -> int:
        """How many shards they fill."""
        return -(-self.rows // SHARD_ROWS)

    @cached_property
    def largest_label(self) -> int:
        """The largest label on any row."""
        regions = (r for s in self.manifest.studies for e in s.slices for r in e.regions)
        return max((region.label for region in regions), default=0)

    @cached_property
    def arrays(self) -> dict[str, RowArray]:
        """How the rows of ``labels``, ``thumb`` and the features are stored."""
        return row_arrays(self.header, self.largest_label)

    @cached_property
    def columns(self) -> dict[str, Column]:
        """How their keys and scales are stored."""
        return columns(self.header)

    @cached_property
    def labelled(self) -> NDArray[np.bool_]:
        """Which rows are of slices with labels."""
        entries = (entry for study in self.manifest.studies for entry in study.slices)
        return np.array([bool(entry.labels_hash) for entry in entries], bool)

    def rows_of(self, shard: int) -> range:
        """Return the rows of a shard."""
        begin = shard * SHARD_ROWS
        return range(begin, min(begin + SHARD_ROWS, self.rows))

    def slice_of(self, row: int) -> tuple[Study, SliceEntry]:
        """Return the study of a row, and its slice."""
        at = int(np.searchsorted(self._starts, row, side="right")) - 1
        study = self.manifest.studies[at]
        return study, study.slices[row - int(self._starts[at])]

    def row_table(self) -> Table:
        """Return what is known of each row, as columns of equal length."""
        studies = self.manifest.studies
        names = [dataset.name for dataset in self.manifest.datasets]
        patients = self.patients
        columns = {
            "volume": list(range(len(studies))),
            "dataset": [names.index(study.dataset) for study in studies],
            "patient": [patients[study.patient] for study in studies],
            "split": [SPLITS.index(study.split) for study in studies],
            "axis": [study.axis for study in studies],
            "slice_shape": [study.slice_shape for study in studies],
        }
        counts = np.diff(self._starts)
        table: Table = {
            name: np.repeat(np.array(values, np.int32), counts, axis=0)
            for name, values in columns.items()
        }
        spacing = np.array([study.pixel_spacing_mm for study in studies], np.float32)
        table["spacing_mm"] = np.repeat(spacing, counts, axis=0)
        indices = [entry.index for study in studies for entry in study.slices]
        table["slice"] = np.array(indices, np.int32)
        table["weight"] = np.ones(self.rows, np.float32)
        return table

    def pair_table(self, missing: Collection[int] = ()) -> Table:
        """Return one entry per label of each row, as columns of equal length.

        Columns: `row`, `label`, `area` (share of the slice's pixels), `box_xyxy` (pixels of the
        slice, both ends included), `components`.
        """
        absent = frozenset(missing)
        rows, values, pixels = [], [], []
        row = 0
        for study in self.manifest.studies:
            size = study.slice_shape[0] * study.slice_shape[1]
            for entry in study.slices:
                if row not in absent:
                    for region in entry.regions:
                        rows.append(row)
                        values.append((region.label, *region.box_xyxy, region.components))
                        pixels.append(region.pixels / size)
                row += 1
        solid = np.array(values, np.int32).reshape(-1, 6)
        return {
            "row": np.array(rows, np.int64),
            "label": solid[:, 0],
            "area": np.array(pixels, np.float32),
            "box_xyxy": solid[:, 1:5],
            "components": solid[:, 5],
        }

    @cached_property
    def patients(self) -> dict[str, int]:
        """Patients and their numbers."""
        names = dict.fromkeys(study.patient for study in self.manifest.studies)
        return {name: number for number, name in enumerate(names)}


def slice_place(study: Study, entry: SliceEntry) -> SlicePlace:
    """Return where a slice is from; of two rows from one place, the later part's counts."""
    return study.dataset, study.image, study.axis, entry.index
