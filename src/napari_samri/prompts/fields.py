"""Readers of coordinates in JSON documents."""

from __future__ import annotations

from napari_samri.codec import convert, number, row_of

LARGEST = 1e9  # far beyond any index, and far below what a float cannot hold


def _sign(value: float) -> int:
    if value not in {0, 1}:
        message = "expected 1 (positive) or 0 (negative)"
        raise ValueError(message)
    return int(value)


COORDINATE = number(-LARGEST, LARGEST)
PAIR = row_of(COORDINATE, COORDINATE)
FOUR = row_of(COORDINATE, COORDINATE, COORDINATE, COORDINATE)
# Two coordinates, then 1 (positive) or 0 (negative).
SIGNED = row_of(COORDINATE, COORDINATE, convert(number(), _sign))
