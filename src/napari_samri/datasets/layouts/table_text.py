"""The rows of a CSV, with any of the separators and encodings that spreadsheets and people use."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEEDED = ("image", "labels")
MAX_BYTES = 64 << 20
# What columns may be called, without spaces, dashes and underscores. The first is our own name.
COLUMNS = {
    "image": "image images img imgs imagepath imagefile scan scans scanpath volume",
    "labels": "labels label labelpath labelspath labelfile mask masks maskpath maskfile seg segs "
    "segpath segmentation segmentations segmentationpath segmentationfile gt groundtruth "
    "annotation annotations",
    "patient": "patient patients patientid patientname pid subject subjects subjectid participant "
    "participantid person personid animal animalid",
    "dataset": "dataset datasets datasetname",
    "class": "class classname organ structure labelname tissue roi",
    "rater": "rater reader observer annotator expert",
}
_ROLES = {name: role for role, names in COLUMNS.items() for name in names.split()}
_SEPARATORS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$', re.IGNORECASE)
# A mark of four bytes begins with one of two.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
GUESSED = "cp1252"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Parameters
    ----------
    line : int
        The line of the file that it ends on, from 1.
    cells : mapping of str to str
        By what the columns mean; stripped.
    extra : tuple of str
        Cells beyond the last column that are not empty.
    """

    line: int
    cells: dict[str, str]
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Parameters
    ----------
    rows : tuple of Row
        Without empty rows and comments.
    comments : int
        How many lines begin with ``#``.
    is_guessed : bool
        The encoding was not known, and taken for Windows-1252.
    """

    rows: tuple[Row, ...]
    comments: int = 0
    is_guessed: bool = False


def read_table(path: Path) -> Table:
    """Read a CSV.

    Raises
    ------
    InputError
        If it cannot be read, or has not the columns that are needed.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error}); expected a CSV file."
        raise InputError(message) from error
    if len(content) > MAX_BYTES:
        message = f"{path}: is over {MAX_BYTES >> 20} MB; expected a CSV of paths."
        raise InputError(message)
    text, encoding = _decoded(content, path)
    lines = text.splitlines(keepends=True)
    first = _SEPARATOR_LINE.match(lines[0].strip()) if lines else None
    if first:
        return _parsed("\n" + "".join(lines[1:]), (first[1],), encoding, path)
    suffix = ("\t",) if path.suffix.lower() == ".tsv" else ()
    return _parsed(text, (*suffix, *_SEPARATORS), encoding, path)


def _decoded(content: bytes, path: Path) -> tuple[str, str]:
    """Return the text and its encoding: by its mark, as UTF-16 without one, as UTF-8, or 1252."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None and b"\0" in content[:2000]:
        encoding = "utf-16-le" if b"\0" in content[1:2000:2] else "utf-16-be"
    try:
        return content.decode(encoding or "utf-8"), encoding or "utf-8"
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        if encoding is None:
            return _as_1252(content, line, path), GUESSED
        message = (
            f"{path}, line {line}: is no {encoding.upper()}, as its first bytes say, so the table "
            "cannot be read; save it as UTF-8."
        )
        raise InputError(message) from error


def _as_1252(content: bytes, line: int, path: Path) -> str:
    try:
        return content.decode(GUESSED)
    except UnicodeDecodeError as error:
        message = (
            f"{path}, line {line}: cannot be read, neither as UTF-8 nor as Windows-1252 "
            f"({GUESSED}); save it as UTF-8."
        )
        raise InputError(message) from error


def _parsed(text: str, separators: tuple[str, ...], encoding: str, path: Path) -> Table:
    """Split a text at the first separator that gives it the columns that are needed."""
    seen: list[str] = []
    for separator in separators:
        lines = _lines(text, separator, path)
        try:
            comments, header = _header(lines, path)
        except UnreadableLineError:  # quotes are read otherwise with another separator
            continue
        roles = _roles(header, path)
        if set(NEEDED) <= set(roles.values()):
            return _table(lines, header, roles, comments, encoding == GUESSED)
        seen = max(seen, [cell.strip() for cell in header], key=len)
    message = (
        f"{path}: the columns are {', '.join(seen) or 'none'}; expected image and labels, and "
        "optionally patient, dataset, class and rater, separated by commas, semicolons or tabs."
    )
    raise InputError(message)


class UnreadableLineError(InputError):
    """A line whose quotes do not close."""


def _lines(text: str, separator: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of lines that are not empty, with the lines' numbers."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num, cells
    except csv.Error as error:
        message = (
            f"{path}, line {reader.line_num}: cannot be read ({error}); expected quotes around "
            "whole cells, and doubled inside of them."
        )
        raise UnreadableLineError(message) from error


def _header(lines: Iterator[tuple[int, list[str]]], path: Path) -> tuple[int, list[str]]:
    """Return how many comments there are before the names of the columns, and the names."""
    for comments, (_, cells) in enumerate(lines):
        is_comment = cells[0].lstrip().startswith("#")
        if not is_comment or set(NEEDED) <= set(_roles(cells, path).values()):
            return comments, cells
    return 0, []


def _roles(header: list[str], path: Path) -> dict[int, str]:
    """Return what each column means, by its place; our own names go before others."""
    names = [_plain(cell) for cell in header]
    roles: dict[int, str] = {}
    for role in COLUMNS:
        places = [place for place, name in enumerate(names) if _ROLES.get(name) == role]
        own = [place for place in places if names[place] == role]
        found = own or places
        if len(found) > 1:
            listed = " and ".join(header[place].strip() for place in found)
            message = (
                f"{path}: the columns {listed} both stand for {role}; expected one. Take one away, "
                "or call the name of a structure class."
            )
            raise InputError(message)
        roles |= dict.fromkeys(found, role)
    return roles


def _plain(cell: str) -> str:
    return re.sub(r"[\s_#-]+", "", cell).lower()


def _table(
    lines: Iterator[tuple[int, list[str]]],
    header: list[str],
    roles: dict[int, str],
    comments: int,
    is_guessed: bool,
) -> Table:
    rows = []
    for line, cells in lines:
        if cells[0].lstrip().startswith("#"):
            comments += 1
            continue
        named = {role: cells[at].strip() for at, role in roles.items() if at < len(cells)}
        extra = tuple(cell for cell in cells[len(header) :] if cell.strip())
        rows.append(Row(line, named, extra))
    return Table(tuple(rows), comments, is_guessed)
