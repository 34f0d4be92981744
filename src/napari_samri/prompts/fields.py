"""Fields of JSON objects, read with errors that name them."""

from __future__ import annotations

from typing import Any

from napari_samri.errors import InputError

LARGEST = 1e9  # far beyond any index, and far below what a float cannot hold


def read_list(entry: dict[str, Any], name: str, where: str) -> list[Any]:
    """Return a list; an empty one if the field is missing.

    Raises
    ------
    InputError
        If the field is no list; the message names it and where it is.
    """
    value = entry.get(name, [])
    if not isinstance(value, list):
        message = f'{where}: "{name}" is {value!r}; expected a list.'
        raise InputError(message)
    return value


def read_numbers(value: Any, count: int, where: str) -> Any:
    """Return a tuple of as many finite floats.

    Raises
    ------
    InputError
        If the value is no list of as many finite numbers; the message says where it is.
    """
    good = isinstance(value, list) and len(value) == count
    if not good or not all(_is_number(number) for number in value):
        message = f"{where} is {value!r}; expected {count} finite numbers."
        raise InputError(message)
    return tuple(float(number) for number in value)


def read_signed(value: Any, where: str) -> tuple[float, float, bool]:
    """Return two coordinates and whether the third number is 1 (positive) or 0 (negative).

    Raises
    ------
    InputError
        If the value is not that; the message says where it is.
    """
    first, second, sign = read_numbers(value, 3, where)
    if sign not in {0, 1}:
        message = f"{where} has the sign {sign:g}; expected 1 (positive) or 0 (negative)."
        raise InputError(message)
    return first, second, sign == 1


def _is_number(value: object) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= LARGEST  # also false for NaN
