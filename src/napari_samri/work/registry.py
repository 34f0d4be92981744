"""Which tasks there are, and how they are written down: one registry, and one form as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_samri.codec import Flaw, Tagged, any_object, parse_json
from napari_samri.errors import InputError
from napari_samri.plugins import NamedRegistry
from napari_samri.work.tasks import EmbedTask, FinetuneTask, WarmTask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_samri.work.task import Task

VERSION = "version"
# Classes: a package's entry point is a function that returns one or several. The process that does
# a task is not the one that made it: there, entry points alone are known.
TASKS: NamedRegistry[type[Task]] = NamedRegistry(
    "napari_samri.tasks", type, lambda: (EmbedTask, FinetuneTask, WarmTask), noun="task"
)


def task_to_json(task: Task) -> dict[str, Any]:
    """Return a task as JSON values: whole, with every number."""
    return {VERSION: task.version, **Tagged(TASKS.known()).to_plain(task)}


def task_from_json(value: Mapping[str, Any]) -> Task:
    """Read what `task_to_json` returned.

    Raises
    ------
    InputError
        If it is damaged, of another version, or of a kind that no installed package knows.
    """
    fields = {name: entry for name, entry in value.items() if name != VERSION}
    try:
        task = Tagged(TASKS.known()).from_plain(fields)
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
    return task_from_json(parse_json(text, any_object, source))
