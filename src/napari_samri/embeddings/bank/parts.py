"""The parts of a bank: found, opened, and made anew."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from uuid import uuid4

from napari_samri.datasets import manifest_from_json
from napari_samri.embeddings.bank.arrays import create_arrays
from napari_samri.embeddings.bank.header import read_header
from napari_samri.embeddings.bank.part import MAKING, PLAN, Part
from napari_samri.embeddings.bank.plan import PartPlan
from napari_samri.embeddings.bank.tables import write_table
from napari_samri.embeddings.bank.zarr_files import write_flushed
from napari_samri.errors import InputError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from napari_samri.embeddings.bank.header import BankHeader

PARTS = "parts"


def parts_of(bank: Path) -> list[Part]:
    """Return the parts of a bank, oldest first.

    Raises
    ------
    InputError
        If a part's plan is damaged or not the one that its name tells of.
    """
    header = read_header(bank)
    return [open_part(path, header) for path in part_folders(bank)]


def part_folders(bank: Path, plan_id: str = "*") -> list[Path]:
    """Return the folders of a bank's parts, oldest first."""
    return sorted(path for path in (bank / PARTS).glob(f"[0-9]*-{plan_id}") if path.is_dir())


def open_part(path: Path, header: BankHeader) -> Part:
    """Open a part.

    Raises
    ------
    InputError
        As `parts_of`.
    """
    try:
        content = (path / PLAN).read_bytes()
    except OSError as error:
        message = (
            f"{path / PLAN}: cannot be read ({error.strerror or error}). Move this folder out of "
            "the bank, and run 'napari-samri embed' again."
        )
        raise InputError(message) from error
    # First of all: whatever was altered, this is what there is to say.
    if PartPlan.id_of(header, content) != path.name.partition("-")[2]:
        message = (
            f"{path}: its plan is not the one that its name tells of, so it was altered. Move "
            "this folder out of the bank, and run 'napari-samri embed' again."
        )
        raise InputError(message)
    return Part(path, PartPlan(header, manifest_from_json(content, str(path / PLAN))))


def create_part(bank: Path, plan: PartPlan, *, again: bool = False) -> Part:
    """Make an empty part for a plan, or return the newest that is there, unless asked for again.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    found = part_folders(bank, plan.id)
    if found and not again:
        return Part(found[-1], plan)
    newest = max((int(path.name.partition("-")[0]) for path in part_folders(bank)), default=0)
    path = bank / PARTS / f"{newest + 1:05d}-{plan.id}"
    stage = bank / f"{MAKING}-{plan.id}-{uuid4().hex}"
    try:
        path.parent.mkdir(exist_ok=True)
        stage.mkdir()
        create_arrays(stage, plan.header, plan.rows, plan.largest_label)
        write_table(stage / "rows", plan.row_table())
        write_flushed(stage / PLAN, plan.content)
        stage.rename(path)
    except OSError as error:
        # Or another process was faster; its part is the same.
        if not (path / PLAN).is_file():
            message = f"{path}: cannot be written ({error.strerror or error}). Nothing was changed."
            raise StoreError(message) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return Part(path, plan)
