"""What a field of a dataclass is called and may be: command line and forms are made from it.

A number of a task is one field. Its default and its type stand in the class, its words beside them:
the command line makes a flag of it, and a widget a row.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, dataclass
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = "option"


@dataclass(frozen=True, kw_only=True)
class Option:
    """The words of a field, for people.

    Parameters
    ----------
    label : str
        Of its row in a form.
    text : str
        Of a box to be ticked.
    tip : str
        What it does, in a form.
    help : str
        The same on a command line; `tip` if it is empty.
    flag : str
        Its name on a command line, where that is not the field's; empty: as the field.
    metavar : str or None
        Stands for its value on a command line.
    choices : tuple
        Values, or pairs of a text and a value.
    low, high : int or None
        Bounds of a number.
    cli, form : bool
        Whether a command line and a form have it.
    """

    label: str = ""
    text: str = ""
    tip: str = ""
    help: str = ""
    flag: str = ""
    metavar: str | None = None
    choices: tuple[Any, ...] = ()
    low: int | None = None
    high: int | None = None
    cli: bool = True
    form: bool = True


@dataclass(frozen=True)
class Field:
    """A field with an option.

    Parameters
    ----------
    name : str
    kind : type
        ``int`` also of a field that is an ``int`` or None.
    default : object
        What it is if nothing is said; None if it has to be given.
    option : Option
    """

    name: str
    kind: Any
    default: Any
    option: Option

    @property
    def values(self) -> tuple[Any, ...]:
        """What may be chosen, without the texts."""
        return tuple(each[1] if isinstance(each, tuple) else each for each in self.option.choices)


def option(default: Any = MISSING, option: Option | None = None, /, **words: Any) -> Any:
    """Return a field of a dataclass with its words.

    Parameters
    ----------
    default : object, optional
    option : Option, optional
        Words that several classes share.
    **words
        Those of `Option`, in place of its own.
    """
    meant = dataclasses.replace(option or Option(), **words)
    return dataclasses.field(default=default, metadata={_KEY: meant})


def options_of(kind: type) -> Iterator[Field]:
    """Yield the fields of a dataclass that have an option, in their order."""
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if _KEY in field.metadata:
            default = None if field.default is MISSING else field.default
            yield Field(field.name, _plain(hints[field.name]), default, field.metadata[_KEY])


def _plain(hint: Any) -> Any:
    """Return a type without None."""
    if get_origin(hint) in {Union, UnionType}:
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    return hint


MODEL = Option(help="id of a model, or a checkpoint", form=False)
FAMILY = Option(
    label="Family",
    tip="Preprocessing of a checkpoint given by its path: sam, medsam or starter. Left empty, the "
    "file tells",
    help="preprocessing of a checkpoint: sam, medsam, starter",
)
DEVICE = Option(
    label="Device",
    tip="Where the model runs",
    help="auto, cuda, mps or cpu",
    choices=("auto", "cpu", "cuda", "mps"),
)
