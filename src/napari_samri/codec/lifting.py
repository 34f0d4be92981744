"""Arrays that stand in JSON values, taken out to travel beside them, and put back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_samri.codec.flaw import Flaw, shown, wrong

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = NDArray[Any]
_MOST_ARRAYS = 1000  # each takes a copy of the entries on its way


def lift_arrays(value: Any) -> tuple[Any, dict[str, Array]]:
    """Return JSON values with null in the place of arrays, and the arrays by place.

    A place is made of the names and numbers of the entries that lead there, with dots between.
    """
    arrays: dict[str, Array] = {}
    return _lifted(value, "", arrays), arrays


def place_arrays(value: Any, arrays: Mapping[str, Array]) -> Any:
    """Return JSON values with arrays where they belong; the values themselves are not changed.

    Raises
    ------
    Flaw
        If there is no such place, or something stands there.
    """
    if len(arrays) > _MOST_ARRAYS:
        message = f"has {len(arrays)} arrays; expected at most {_MOST_ARRAYS}"
        raise Flaw(message)
    for place, array in arrays.items():
        value = _placed(value, place.split("."), array)
    return value


def _lifted(value: Any, place: str, arrays: dict[str, Array]) -> Any:
    if isinstance(value, dict):
        return {name: _lifted(each, f"{place}.{name}", arrays) for name, each in value.items()}
    if isinstance(value, list):
        return [_lifted(each, f"{place}.{number}", arrays) for number, each in enumerate(value)]
    if isinstance(value, np.ndarray):
        arrays[place[1:]] = value
        return None
    return value


def _placed(value: Any, steps: list[str], array: Array) -> Any:
    if not steps:
        if value is not None:
            raise wrong(value, "null, where an array belongs")
        return array
    step, *others = steps
    if isinstance(value, dict):
        return {**value, step: _placed(value.get(step), others, array)}
    if isinstance(value, list) and step.isdecimal() and len(step) < 10 and int(step) < len(value):
        place = int(step)
        return [*value[:place], _placed(value[place], others, array), *value[place + 1 :]]
    message = f"has no place {shown(step)} for an array"
    raise Flaw(message)
