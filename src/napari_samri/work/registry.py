"""Which tasks there are, and how they are written down: one registry, and one form as JSON."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from napari_samri.codec import Flaw, Tagged, parse_json
from napari_samri.errors import InputError
from napari_samri.work.tasks import EmbedTask, FinetuneTask, WarmTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_samri.work.task import Task

ENTRY_POINTS = "napari_samri.tasks"
VERSION = "version"
_OWN: tuple[type[Task], ...] = (EmbedTask, FinetuneTask, WarmTask)
_registered: dict[str, type[Task]] = {}


def register_task(kind: type[Task]) -> None:
    """Make a kind of task known; one of another package is found by its entry point too.

    The process that does a task is not the one that made it: there, only entry points of the
    group ``napari_samri.tasks`` are known.

    Raises
    ------
    InputError
        If another one has its name.
    """
    if _kinds().get(kind.kind, kind) is not kind:
        message = f"there is already a task called {kind.kind!r}; give this one another name."
        raise InputError(message)
    _registered[kind.kind] = kind


def unregister_task(kind: type[Task]) -> None:
    """Forget a kind of task that was registered."""
    _registered.pop(kind.kind, None)


def task_to_json(task: Task) -> dict[str, Any]:
    """Return a task as JSON values: whole, with every number."""
    return {VERSION: task.version, **Tagged(_kinds()).to_plain(task)}


def task_from_json(value: Mapping[str, Any]) -> Task:
    """Read what `task_to_json` returned.

    Raises
    ------
    InputError
        If it is damaged, of another version, or of a kind that no installed package knows.
    """
    fields = {name: entry for name, entry in value.items() if name != VERSION}
    try:
        task = Tagged(_kinds()).from_plain(fields)
    except Flaw as flaw:
        message = f"the task cannot be read: {flaw}. Start it again."
        raise InputError(message) from flaw
    if value.get(VERSION) != task.version:
        message = (
            f"the task '{task.title}' is of version {value.get(VERSION)}; expected "
            f"{task.version}. Start it again."
        )
        raise InputError(message)
    return task


def task_to_text(task: Task) -> str:
    """Return a task as a JSON document."""
    return json.dumps(task_to_json(task), indent=1)


def task_from_text(text: str, source: str = "the task") -> Task:
    """Read what `task_to_text` returned; raises as `task_from_json`."""
    return task_from_json(parse_json(text, _object, source))


def _object(value: object) -> Any:
    if isinstance(value, dict):
        return value
    message = "is no task"
    raise Flaw(message)


def _kinds() -> dict[str, type[Task]]:
    found = {kind.kind: kind for kind in _OWN}
    for entry in entry_points(group=ENTRY_POINTS):
        kind = entry.load()
        found[kind.kind] = kind
    return found | _registered
