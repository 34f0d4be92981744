"""The embedding bank: embeddings of many slices in few files, for training.

A folder in the layout of zarr 3: a header that names encoder and preprocessing, and parts that
are written once and sealed. See `docs/concepts/bank.md`.
"""

from napari_samri.embeddings.bank.bank import Bank
from napari_samri.embeddings.bank.header import BankHeader, create_bank, is_bank, read_header
from napari_samri.embeddings.bank.part import Part
from napari_samri.embeddings.bank.parts import create_part, parts_of
from napari_samri.embeddings.bank.plan import PartPlan, slice_key

__all__ = [
    "Bank",
    "BankHeader",
    "Part",
    "PartPlan",
    "create_bank",
    "create_part",
    "is_bank",
    "parts_of",
    "read_header",
    "slice_key",
]
