"""Dataclasses as JSON values and back, by the types of their fields.

A dataclass whose fields are annotated is its own schema: `to_plain` writes it, `from_plain` reads
it as strictly as any other document, and `Tagged` tells several kinds of message apart.

================================  ==================================================================
Type of a field                   JSON value
================================  ==================================================================
``bool``, ``int``, ``str``        the same; true is no 1, and a whole number has at most 16 digits
``float``                         a finite number
``Path``                          a text
``bytes``                         a text, base64
``None``, ``Literal[...]``        null, one of these values
``X | None``                      null, or what ``X`` is
``tuple[X, ...]``, ``tuple[...]`` a list
``Mapping[str, X]``               an object
a dataclass                       an object of its fields; those with a default may be missing
dataclasses ``A | B``             an object whose entry ``kind`` names the class, in lower case
``NDArray[...]``                  null: the array travels beside the document, see `Tagged.pack`
``Any``                           any JSON value
``Annotated[X, ...]``             as ``X``, read by a `Reader`, or read and written by a `Form`,
                                  or an array with so many `Axes`
================================  ==================================================================

The annotations have to exist when the program runs: their modules import them for real, and not
only for the type checker.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from functools import lru_cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin
from typing import get_type_hints as hints_of

import numpy as np

from napari_samri.codec.compound import list_of, map_of, record, row_of
from napari_samri.codec.document import LIMIT_BYTES
from napari_samri.codec.flaw import Flaw, wrong
from napari_samri.codec.lifting import Array, lift_arrays, place_arrays
from napari_samri.codec.values import (
    Reader,
    anything,
    convert,
    flag,
    integer,
    number,
    one_of,
    optional,
    text,
)

T = TypeVar("T")
Unknown = Literal["drop", "refuse"]

TAG = "kind"
_NUMBERS = "biuf"  # what `dtype.kind` is of booleans, integers and floats


@dataclass(frozen=True, eq=False)
class Form(Generic[T]):
    """How values of a type are written and read; in ``Annotated``, in place of the type's own.

    Parameters
    ----------
    read : Reader
    write : callable
        Returns JSON values; arrays may stand where they are to be found again.
    """

    read: Reader[T]
    write: Callable[[T], Any]


@dataclass(frozen=True)
class Axes:
    """How many axes an array has, in ``Annotated``."""

    count: int


def to_plain(item: Any, kind: Any = None) -> Any:
    """Return a value as JSON values, which `from_plain` reads.

    Parameters
    ----------
    item : object
    kind : type, optional
        What it is to be read as; its class if it is not given.

    Raises
    ------
    TypeError
        If its type has no form, or it holds an array, which only `Tagged.pack` takes.
    ValueError
        If a value could not be read again, such as NaN for a number.
    """
    return _without_arrays(_form(type(item) if kind is None else kind).write(item))


def from_plain(kind: type[T], value: object, unknown: Unknown = "refuse") -> T:
    """Read what `to_plain` wrote; `unknown` says what becomes of fields that the class has not.

    Raises
    ------
    Flaw
        If the value is not of this kind; it names the place.
    """
    return reader_of(kind, unknown)(value)


def check_fields(item: Any) -> None:
    """Raise a Flaw unless the fields of a dataclass are what they are annotated as."""
    for name, hint in hints_of(type(item), include_extras=True).items():
        form = _form(hint)
        try:
            form.read(form.write(getattr(item, name)))
        except Flaw as flaw:
            raise flaw.within(name) from None
        except (AttributeError, TypeError):  # nothing of that type at all
            raise wrong(getattr(item, name), f"what stands for {hint}").within(name) from None


def field_readers(kind: type[Any]) -> dict[str, Reader[Any]]:
    """Return the reader of each field of a dataclass, where one may be bad and others taken."""
    return {name: _form(hint).read for name, hint in hints_of(kind, include_extras=True).items()}


def reader_of(kind: type[T], unknown: Unknown = "refuse") -> Reader[T]:
    """Return the reader of what `to_plain` writes, as a part of other readers.

    Raises
    ------
    TypeError
        If the type has no form.
    """
    reader: Reader[T] = _form(kind, unknown).read
    return reader


class Tagged(Generic[T]):
    """The kinds of a message: an entry of the document names the class.

    Parameters
    ----------
    kinds : mapping of str to type
        Dataclasses by name. It is looked at each time, so a registry may grow.
    tag : str
        The entry with the name; no class has a field of that name.
    unknown : {"drop", "refuse"}
        What becomes of fields that the class has not.
    """

    def __init__(
        self, kinds: Mapping[str, type[T]], tag: str = TAG, unknown: Unknown = "refuse"
    ) -> None:
        self._kinds = kinds
        self._tag = tag
        self._unknown: Unknown = unknown

    @classmethod
    def of(cls, *kinds: type[T], tag: str = TAG, unknown: Unknown = "refuse") -> Tagged[T]:
        """Return these kinds, named by their classes in lower case."""
        return cls({kind.__name__.lower(): kind for kind in kinds}, tag, unknown)

    def to_plain(self, item: T) -> dict[str, Any]:
        """Return a message as JSON values; raises as the function of this name does."""
        plain: dict[str, Any] = _without_arrays(self.write(item))
        return plain

    def from_plain(self, value: object) -> T:
        """Read what `to_plain` wrote.

        Raises
        ------
        Flaw
            If the value is no message of these kinds; it names the place.
        """
        if not isinstance(value, dict) or self._tag not in value:
            raise wrong(value, f"an object with '{self._tag}'")
        try:
            kind = self._kinds[one_of(*self._kinds)(value[self._tag])]
        except Flaw as flaw:
            raise flaw.within(self._tag) from None
        fields = {name: entry for name, entry in value.items() if name != self._tag}
        return from_plain(kind, fields, self._unknown)

    def pack(self, item: T) -> tuple[dict[str, Any], dict[str, Array]]:
        """Return a message as JSON values, and its arrays named by where they stand.

        Such a name is made of the fields' and the entries' that lead there, with dots between.
        """
        return lift_arrays(self.write(item))

    def unpack(self, head: Mapping[str, Any], arrays: Mapping[str, Array]) -> T:
        """Read what `pack` returned.

        Raises
        ------
        Flaw
            If it is no message of these kinds, or an array is not as its field says.
        """
        return self.from_plain(place_arrays(dict(head), arrays))

    def write(self, item: T) -> dict[str, Any]:
        """Return a message as JSON values with arrays among them, as a `Form` does."""
        for name, kind in self._kinds.items():
            if type(item) is kind:
                return {self._tag: name, **_form(kind).write(item)}
        message = f"{type(item).__name__} is none of the kinds {', '.join(self._kinds)}."
        raise TypeError(message)


def _without_arrays(value: Any) -> Any:
    plain, arrays = lift_arrays(value)
    if arrays:
        message = f"a document has no place for arrays; found {', '.join(arrays)}."
        raise TypeError(message)
    return plain


# Forms by type


def _make_form(kind: Any, unknown: Unknown = "refuse") -> Form[Any]:
    if kind in _SINGLE:
        return _SINGLE[kind]
    if dataclasses.is_dataclass(kind):
        return _dataclass_form(kind, unknown)
    make = _BY_ORIGIN.get(get_origin(kind))
    if make is None:
        message = f"{kind!r} has no form as JSON values; see napari_samri.codec.typed."
        raise TypeError(message)
    return make(kind, unknown)


# Made once for each type; what it takes is anything that can stand in an annotation.
_form: Callable[..., Form[Any]] = lru_cache(maxsize=1000)(_make_form)


def _dataclass_form(kind: Any, unknown: Unknown) -> Form[Any]:
    hints = hints_of(kind, include_extras=True)
    forms, required = {}, set()
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        forms[field.name] = _form(hints[field.name], unknown)
        if field.default is MISSING and field.default_factory is MISSING:
            required.add(field.name)
    read = record(
        kind,
        {name: form.read for name, form in forms.items() if name in required},
        {name: form.read for name, form in forms.items() if name not in required},
        unknown=unknown,
    )
    writers = [(name, form.write) for name, form in forms.items()]
    return Form(read, lambda item: {name: write(getattr(item, name)) for name, write in writers})


def _annotated_form(kind: Any, unknown: Unknown) -> Form[Any]:
    inner, *notes = get_args(kind)
    for note in notes:
        if isinstance(note, Form):
            return note
        if isinstance(note, Axes):
            return _array_form(inner, unknown, note.count)
        if callable(note):
            return _strict(note) if inner in {int, float} else Form(note, _form(inner).write)
    return _form(inner, unknown)


def _union_form(kind: Any, unknown: Unknown) -> Form[Any]:
    kinds = [each for each in get_args(kind) if each is not NoneType]
    if len(kinds) == 1:
        form = _form(kinds[0], unknown)
    elif all(map(dataclasses.is_dataclass, kinds)):
        tagged: Tagged[Any] = Tagged.of(*kinds, unknown=unknown)
        form = Form(tagged.from_plain, tagged.write)
    else:
        message = f"{kind!r} has no form as JSON values: nothing tells its types apart."
        raise TypeError(message)
    if len(kinds) == len(get_args(kind)):
        return form
    write = form.write
    return Form(optional(form.read), lambda item: None if item is None else write(item))


def _tuple_form(kind: Any, unknown: Unknown) -> Form[Any]:
    kinds = get_args(kind)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        item = _form(kinds[0], unknown)
        return Form(list_of(item.read), lambda items: [item.write(each) for each in items])
    forms = [_form(each, unknown) for each in kinds]
    return Form(
        row_of(*(form.read for form in forms)),
        lambda items: [form.write(each) for form, each in zip(forms, items, strict=True)],
    )


def _mapping_form(kind: Any, unknown: Unknown) -> Form[Any]:
    names, values = get_args(kind)
    if names is not str:
        message = f"{kind!r} has no form as JSON values: names are texts."
        raise TypeError(message)
    form = _form(values, unknown)
    return Form(
        map_of(form.read), lambda items: {name: form.write(each) for name, each in items.items()}
    )


def _array_form(kind: Any, unknown: Unknown, axes: int | None = None) -> Form[Any]:
    dtypes = get_args(get_args(kind)[1])
    wanted = None if dtypes == (Any,) else np.dtype(dtypes[0])
    what = f"an array of {wanted or 'numbers'}" + ("" if axes is None else f" with {axes} axes")

    def read(value: object) -> Any:
        if not isinstance(value, np.ndarray) or axes not in {None, value.ndim}:
            raise _no_array(value, what)
        if value.dtype != wanted if wanted is not None else value.dtype.kind not in _NUMBERS:
            raise _no_array(value, what)
        return value

    return Form(read, np.asarray)


def _no_array(value: object, what: str) -> Flaw:
    if not isinstance(value, np.ndarray):
        return wrong(value, what)
    message = f"is an array of {value.dtype} with the shape {value.shape}; expected {what}"
    return Flaw(message)


def _literal_form(kind: Any, unknown: Unknown) -> Form[Any]:
    return _strict(one_of(*get_args(kind)))


def _strict(read: Reader[T]) -> Form[T]:
    """Return a form that writes only what it would read, and numpy's numbers as Python's."""
    return Form(read, lambda value: read(value.item() if isinstance(value, np.generic) else value))


def _same(value: T) -> T:
    """Return a value as it is: an odd text does not keep the rest from being written."""
    return value


def _from_base64(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


_SINGLE: dict[Any, Form[Any]] = {
    bool: _strict(flag),
    int: _strict(integer()),
    float: _strict(number()),
    str: Form(text(), _same),
    bytes: Form(convert(text(LIMIT_BYTES), _from_base64), _to_base64),
    Path: Form(convert(text(), Path), str),
    NoneType: _strict(one_of(None)),
    Any: _strict(anything),
}
_BY_ORIGIN: dict[Any, Callable[[Any, Unknown], Form[Any]]] = {
    Annotated: _annotated_form,
    Literal: _literal_form,
    Union: _union_form,
    UnionType: _union_form,
    tuple: _tuple_form,
    dict: _mapping_form,
    Mapping: _mapping_form,
    np.ndarray: _array_form,
}
