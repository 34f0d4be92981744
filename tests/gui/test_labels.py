"""The table of labels, which stays quick and true with many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_samri.session.labels import LabelTable

if TYPE_CHECKING:
    from napari_samri._qt.label_panel import LabelPanel

pytestmark = [pytest.mark.gui, pytest.mark.slow]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "activate", "rename", "lock", "recolour"]),
        st.integers(1, 9),
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def panel() -> LabelPanel:
    from qtpy.QtWidgets import QApplication

    from napari_samri._qt.label_panel import LabelPanel

    app = QApplication.instance() or QApplication([])
    panel = LabelPanel()
    panel.app = app
    return panel


def shown(panel: LabelPanel) -> list[tuple[int, str, bool, str]]:
    from qtpy.QtCore import Qt

    from napari_samri._qt.label_panel import COLOUR, LOCK, NAME

    table = panel.table
    return [
        (
            panel.label_of(row),
            table.item(row, NAME).text(),
            table.cellWidget(row, LOCK).isChecked(),
            table.item(row, COLOUR).data(Qt.ItemDataRole.UserRole),
        )
        for row in range(table.rowCount())
    ]


def stepped(table: LabelTable, step: str, label: int) -> LabelTable:
    if step == "add":
        return table if label in table else table.add(label=label)
    if label not in table or (step == "remove" and len(table.labels) == 1):
        return table
    match step:
        case "remove":
            return table.remove(label)
        case "activate":
            return table.activate(label)
        case "rename":
            return table.change(label, name=f"organ {label}")
        case "lock":
            return table.change(label, locked=True)
    return table.change(label, colour="#123456")


@given(STEPS)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_table_shows_what_there_is(panel: LabelPanel, steps: list[tuple[str, int]]) -> None:
    heard: list[object] = []
    for signal in (panel.activated, panel.renamed, panel.recoloured, panel.locked):
        signal.connect(lambda *what: heard.append(what))
    table = LabelTable.of((2, 4, 5))
    panel.show_table(table)
    for step in steps:
        table = stepped(table, *step)
        panel.show_table(table)
        assert shown(panel) == [(e.id, e.name, e.locked, e.colour) for e in table]
        assert panel.label_of(panel.table.currentRow()) == table.active
        assert {item.row() for item in panel.table.selectedItems()} == {panel.table.currentRow()}
    assert heard == [], "to show is no news"


def test_a_lock_is_that_of_its_row_after_others_came_and_went(panel: LabelPanel) -> None:
    from napari_samri._qt.label_panel import LOCK

    heard: list[tuple[int, bool]] = []
    panel.show_table(LabelTable.of((3, 5, 7)))
    panel.show_table(LabelTable.of((1, 5, 7)).add(label=6))
    panel.locked.connect(lambda label, on: heard.append((label, on)))
    for row in range(4):
        panel.table.cellWidget(row, LOCK).setChecked(True)
    assert heard == [(1, True), (5, True), (6, True), (7, True)]


def test_a_step_makes_only_the_rows_that_are_new(
    panel: LabelPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    show_row = panel._show_row
    monkeypatch.setattr(
        panel, "_show_row", lambda row, label: (made.append(label.id), show_row(row, label))
    )
    table = LabelTable.of(range(1, 301))
    panel.show_table(table)
    made.clear()
    for name, value in (
        ("activate", (200,)),
        ("change", (7,)),
        ("remove", (9,)),
        ("add", (None, 9)),
        ("add", (None, 301)),
    ):
        table = getattr(table, name)(*value, **({"name": "x"} if name == "change" else {}))
        panel.show_table(table)
    assert made == [7, 9, 301]
