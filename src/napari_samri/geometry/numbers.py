"""Numbers as scripts give them, from NumPy, pandas or lists: converted, or refused with a reason.

They become Python's own int, float or bool, or a float array, so that they can be compared,
hashed and written.
"""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


# Labels are kept and written as uint16; 0 is background.
MAX_LABEL = 65535


def whole(value: Any, what: str) -> int:
    """Return a whole number, also one that is a float: pandas has these where some are missing.

    Raises
    ------
    InputError
        If it is no number, True or False, or not whole; the message says what it is for.
    """
    if type(value) is int:
        return value
    taken = _scalar(value)
    if isinstance(taken, Real) and not isinstance(taken, bool):
        if isinstance(taken, Integral):
            return int(taken)
        if math.isfinite(taken) and taken == math.floor(taken):
            return round(float(taken))
    message = f"{what} is {_shown(value)}; expected a whole number."
    raise InputError(message)


def number(value: Any, what: str, *, finite: bool = True) -> float:
    """Return a number as a float.

    Raises
    ------
    InputError
        If it is none, True or False, or, unless that is allowed, not finite.
    """
    if type(value) is float and (not finite or math.isfinite(value)):
        return value
    taken = _scalar(value)
    if not isinstance(taken, bool) and (isinstance(taken, Real) or hasattr(taken, "as_tuple")):
        try:
            result = float(taken)
        except (OverflowError, ValueError):  # beyond what a float holds, or a signalling NaN
            result = math.nan
        if not finite or math.isfinite(result):
            return result
    message = f"{what} is {_shown(value)}; expected a {'finite ' if finite else ''}number."
    raise InputError(message)


def flag(value: Any, what: str) -> bool:
    """Return True or False, also from NumPy's, or from 1 and 0.

    Raises
    ------
    InputError
        If it is anything else: a text, even an empty one, is neither.
    """
    taken = _scalar(value)
    if isinstance(taken, (bool, Real)) and taken in {0, 1}:
        return bool(taken)
    message = f"{what} is {_shown(value)}; expected True or False."
    raise InputError(message)


def table(values: Any, names: Sequence[str], what: str) -> FloatArray:
    """Return rows of finite numbers (N, K), one column for each of K names.

    Parameters
    ----------
    values : array-like (N, K), data frame or structured array
        Where columns have names, these are found by them, in whatever order they stand.
    names : sequence of str
    what : str
        For the message.

    Raises
    ------
    InputError
        If the shape is another one, columns have other names, or something is no finite number.
    """
    array = _plain(_by_name(values, names, what), what)
    if array.ndim != 2 or array.shape[1] != len(names):
        message = (
            f"{what} have the shape {array.shape}; expected (N, {len(names)}): rows of "
            f"{', '.join(names)}."
        )
        raise InputError(message)
    return _finite(array, what)


def row(values: Any, names: Sequence[str], what: str) -> FloatArray:
    """Return finite numbers (K,), one for each of K names; those of a named row by their names.

    Raises
    ------
    InputError
        If there are not as many, or something is no finite number.
    """
    if hasattr(values, "columns") and len(values) == 1:  # a data frame's only row
        values = table(values, names, what)
    else:
        values = _by_name(values, names, what)
    array = _plain(values, what)
    if array.size != len(names) or array.ndim > 2:
        message = f"{what} has {array.size} numbers; expected {len(names)}: {', '.join(names)}."
        raise InputError(message)
    return _finite(array.reshape(-1), what)


def _scalar(value: Any) -> Any:
    """Return what is in a NumPy scalar or an array of no axes; else the value itself."""
    if isinstance(value, (np.generic, np.ndarray)) and np.ndim(value) == 0:
        return value.item()
    return value


def _by_name(values: Any, names: Sequence[str], what: str) -> Any:
    """Return columns or entries that have names in the order of `names`."""
    found = _names_of(values)
    if found is None:
        once = hasattr(values, "__iter__") and not hasattr(values, "__len__")  # such as a zip
        return list(values) if once else values
    if missing := [name for name in names if name not in found]:
        message = (
            f"{what} have the columns {', '.join(map(str, found))}; expected {', '.join(names)} "
            f"({', '.join(missing)} not found)."
        )
        raise InputError(message)
    return np.stack([np.asarray(values[name]) for name in names], axis=-1)


def _names_of(values: Any) -> list[Any] | None:
    """Return the names of columns or entries, or None if they have none, or only numbers."""
    if isinstance(values, dict):
        return list(values)
    if getattr(getattr(values, "dtype", None), "names", None):
        return list(values.dtype.names)
    labels = getattr(values, "columns", None)
    if labels is None and hasattr(values, "to_numpy"):
        labels = getattr(values, "index", None)
    if labels is None or callable(labels):
        return None
    found = list(labels)
    return found if any(isinstance(name, str) for name in found) else None


def _plain(values: Any, what: str) -> NDArray[Any]:
    """Return an array of numbers, without texts that look like some, and without masks."""
    try:
        array = np.ma.asanyarray(values)
    except (TypeError, ValueError) as error:
        message = f"{what} are {_shown(values)}; expected numbers in rows of one length."
        raise InputError(message) from error
    if np.ma.is_masked(array):
        message = f"some of {what} are masked; expected numbers. Leave these out."
        raise InputError(message)
    plain = np.asarray(array)
    if plain.dtype.kind == "O":
        plain = np.array([number(each, what) for each in plain.ravel()]).reshape(plain.shape)
    if plain.size and plain.dtype.kind not in "iuf":
        message = f"{what} are {plain.dtype}; expected numbers."
        raise InputError(message)
    return plain


def _finite(array: NDArray[Any], what: str) -> FloatArray:
    result = np.asarray(array, np.float64)
    if not np.isfinite(result).all():
        message = f"some of {what} are not finite ({result[~np.isfinite(result)][0]})."
        raise InputError(message)
    return result


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
