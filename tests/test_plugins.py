from __future__ import annotations

import logging
from importlib.metadata import EntryPoint
from typing import Any, Protocol, runtime_checkable

import pytest

from napari_samri import plugins
from napari_samri.plugins import Registry

GROUP = "napari_samri.things"


@runtime_checkable
class Thing(Protocol):
    name: str

    def __call__(self) -> str: ...


class Named:
    name = "by a class"

    def __init__(self, name: str = "by a class") -> None:
        self.name = name

    def __call__(self) -> str:
        return self.name


ONE = Named("one")


def several() -> list[Named]:
    return [Named("two"), Named("three")]


def broken() -> None:
    raise RuntimeError


def registry(monkeypatch: pytest.MonkeyPatch, *names: str) -> Registry[Any]:
    entries = [EntryPoint(name, f"{__name__}:{name}", GROUP) for name in names]
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [entry for entry in entries if entry.group == group]
    )
    return Registry(GROUP, Thing, lambda: [Named("ours")])


def test_an_entry_point_is_a_thing_a_class_or_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry(monkeypatch, "ONE", "Named", "several")
    assert [thing() for thing in found] == ["one", "by a class", "two", "three", "ours"]


def test_the_latest_registered_comes_first_and_leaves_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = registry(monkeypatch)
    first, second = Named("first"), Named("second")
    found.register(first)
    found.register(second)
    assert [thing.name for thing in found] == ["second", "first", "ours"]
    found.unregister(second)
    found.unregister(second)
    assert [thing.name for thing in found] == ["first", "ours"]


@pytest.mark.parametrize("name", ["broken", "GROUP", "absent"])
def test_a_fault_of_another_package_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.WARNING):
        assert [thing.name for thing in registry(monkeypatch, name, "ONE")] == ["one", "ours"]
    assert name in caplog.text
    assert GROUP in caplog.text
