"""What is wrong with a value of a document, in words."""

from __future__ import annotations

# Every whole number up to this is a float of its own.
LARGEST_INTEGER = 1 << 53
_SHOWN_CHARACTERS = 60


class Flaw(ValueError):  # noqa: N818  # part of an error, which says where it is
    """What is wrong with a value; the reader of what it is part of adds the place."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.place = ""

    def within(self, step: str | int) -> Flaw:
        """Return the flaw with its place in the list or record that holds the value."""
        step = f"[{step}]" if isinstance(step, int) else step
        dot = "." if self.place and not self.place.startswith("[") else ""
        self.place = f"{step}{dot}{self.place}"
        return self

    def __str__(self) -> str:
        return f"{self.place} {self.text}" if self.place else self.text


def shown(value: object) -> str:
    """Return a value for an error's text: short, whatever it is."""
    if isinstance(value, dict):
        return f"an object of {len(value)} entries"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST_INTEGER:
        return "a huge number"
    text = repr(value[: _SHOWN_CHARACTERS + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def wrong(value: object, what: str) -> Flaw:
    """Return the flaw of a value that is not what was expected."""
    return Flaw(f"is {shown(value)}; expected {what}")
