"""Several banks of one kind as one."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from napari_samri.atomic import own_folder
from napari_samri.embeddings.bank.header import create_bank, read_header
from napari_samri.embeddings.bank.known import remember_bank
from napari_samri.embeddings.bank.part import PARTS, parts_of
from napari_samri.errors import InputError, StoreError
from napari_samri.jobs import Event, Finished, Problem, Progressed, Started, Stopped, never

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_samri.embeddings.bank.header import BankHeader
    from napari_samri.embeddings.bank.part import Part
    from napari_samri.jobs import Cancel


def merge_banks(banks: Sequence[Path], out: Path, cancel: Cancel = never) -> Iterator[Event]:
    """Make a new bank of the sealed parts of others, in their order.

    A later bank's rows replace those of an earlier one from the same place. A part that several
    banks have is taken once. Files are linked where the disk can do that, and copied elsewhere.

    Parameters
    ----------
    banks : sequence of pathlib.Path
    out : pathlib.Path
        Appears when all is in it.
    cancel : callable

    Yields
    ------
    Event
        A `Problem` for each part that is left out because it is not sealed.

    Raises
    ------
    InputError, ModelError
        If `out` is there already, or a folder is no bank, or of another kind than the first.
    StoreError
        If it cannot be written.
    """
    if out.exists():
        message = f"{out}: is there already; merging makes a new bank. Choose another place."
        raise InputError(message)
    header = _common_header(banks)
    parts, left_out = _chosen(banks)
    for part in left_out:
        yield Problem(text=f"left out: {part.path}: not complete; run 'napari-samri embed' again")
    yield Started(what="parts", total=len(parts))
    try:
        with own_folder(out) as stage:
            bank = stage / "bank"
            create_bank(bank, header)
            for number, part in enumerate(parts, 1):
                _take(part, bank / PARTS / f"{number:05d}-{part.plan.id}", cancel)
                if cancel():
                    yield Stopped(text=f"stopped; {out} was not made")
                    return
                yield Progressed(done=number, total=len(parts), what="parts")
            bank.rename(out)
        remember_bank(out)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        message = f"{out}: cannot be written ({error.strerror or error}). Nothing was changed."
        raise StoreError(message) from error
    rows = sum(part.plan.rows for part in parts)
    yield Finished(text=f"wrote {out}: {len(parts)} parts, {rows:,} rows")


def _common_header(banks: Sequence[Path]) -> BankHeader:
    first, *others = [read_header(bank) for bank in banks]
    for bank, header in zip(banks[1:], others, strict=True):
        header.check_model(first.encoder, first.preprocessing, str(banks[0]), bank)
        if header != first:
            message = (
                f"{bank}: of another kind than {banks[0]}: {header.differences(first)}. Merge "
                "banks of one kind only."
            )
            raise InputError(message)
    return first


def _chosen(banks: Sequence[Path]) -> tuple[list[Part], list[Part]]:
    """Return the parts to take, and those that are not sealed.

    Of a part that several banks have, the one with the fewest missing rows counts, and its last
    place, so that the same rows are replaced as if both were there.
    """
    chosen: dict[str, Part] = {}
    left_out = []
    for part in (part for bank in banks for part in parts_of(bank)):
        if not part.sealed:
            left_out.append(part)
            continue
        same = chosen.pop(part.plan.id, part)
        chosen[part.plan.id] = min(part, same, key=lambda p: len(p.missing_rows()))
    return list(chosen.values()), left_out


def _take(part: Part, target: Path, cancel: Cancel) -> None:
    """Link or copy the files of a part."""
    for source in sorted(part.path.rglob("*")):
        path = target / source.relative_to(part.path)
        if cancel():
            return
        if source.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(source, path)


def _link_or_copy(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, path)
        with path.open("rb+") as file:
            os.fsync(file.fileno())
