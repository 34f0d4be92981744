"""Long work as a value: what is to be done, in one frozen dataclass that a job's folder holds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  # what tasks hold is read by its annotations
from typing import TYPE_CHECKING, ClassVar, Literal

from napari_samri.jobs import duration, never

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from napari_samri.jobs import Cancel, Event, Measured, Progressed
    from napari_samri.training import ValidationSlices

Phase = Literal["idle", "preparing", "running", "stopping", "finished", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True)
class Count:
    """How far work is that goes on.

    Parameters
    ----------
    done, total : int
    what : str
        Is counted, such as slices.
    seconds_left : float or None
    curve : tuple of Measured
        What was measured so far.
    """

    done: int
    total: int
    what: str = ""
    seconds_left: float | None = None
    curve: tuple[Measured, ...] = ()

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.done:,} of {self.total:,} {self.what}{self.left}"

    @property
    def left(self) -> str:
        """How long it still takes, as the end of a sentence; empty if that cannot be told."""
        return "" if self.seconds_left is None else f", {duration(self.seconds_left)} left"


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a task has made so far.

    Parameters
    ----------
    bank : pathlib.Path or None
    best : pathlib.Path or None
        The best decoder.
    points : tuple of mapping
        Curves: ``epoch``, ``loss`` and Dice by split.
    preview : ValidationSlices or None
        What the decoder makes of a few slices.
    seen : int
        Which state of the preview's file that is.
    """

    bank: Path | None = None
    best: Path | None = None
    points: tuple[Mapping[str, float], ...] = ()
    preview: ValidationSlices | None = None
    seen: int = 0


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """Long work that can be written down, and done by any process.

    A subclass is a frozen dataclass whose fields `napari_samri.codec` can write as JSON. It says
    what is done in `events`; all else has a default.
    """

    # Names it in JSON.
    id: ClassVar[str]
    # Of what its JSON means; one of another version is refused.
    version: ClassVar[int] = 1
    # Why nothing else can be started.
    busy_text: ClassVar[str] = "something is at work already; wait for it, or cancel it."
    stopping_text: ClassVar[str] = "Stopping"
    # The end of several processes.
    all_done_text: ClassVar[str] = "All is done."
    # While this is counted, notes are listed: the line of progress would hide them.
    lists_notes_of: ClassVar[str] = ""
    # How long after it was asked to stop a process is ended; None: never.
    grace_seconds: ClassVar[float | None] = None

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is about, in a word or two."""

    @property
    def title(self) -> str:
        """For people."""
        return self.name

    @property
    def names(self) -> dict[Path, str]:
        """What paths are called in texts for people: a widget is narrow."""
        return {}

    @abstractmethod
    def events(self, cancel: Cancel = never) -> Iterator[Event]:
        """Do it, and tell how it goes.

        Yields
        ------
        Event
            At last `Finished` or, if `cancel` said so, `Stopped`.

        Raises
        ------
        SamriError
            If something cannot be used; what was done before is kept.
        """

    def check(self) -> None:  # noqa: B027  # most have nothing to check
        """Find out in a moment what would only fail after long preparation."""

    def ready(
        self, folder: Path, cancel: Cancel
    ) -> Generator[Progressed, None, tuple[tuple[Task, ...], tuple[str, ...]]]:
        """Read what has to be read first.

        Parameters
        ----------
        folder : pathlib.Path
            Takes what is needed only as long as the task runs.
        cancel : callable

        Returns
        -------
        tasks : tuple of Task
            One for each process.
        problems : tuple of str
            What was left out.

        Raises
        ------
        Cancelled
            If `cancel` says so; nothing was written.
        """
        del folder, cancel
        yield from ()
        return (self,), ()

    def progress(self, count: Count) -> str:
        """Say how far it is."""
        return count.text

    def made(self, before: Made) -> Made:
        """Look at what it has made so far; `before` is what was found last."""
        return before

    def worth_showing(self, told: Phase | None) -> bool:
        """Tell whether a user who comes back wants to see it; `told` is the end that was told."""
        return told is None
