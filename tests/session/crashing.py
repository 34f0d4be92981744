"""A session with a journal in a process that a test kills; prints what it had done."""

from __future__ import annotations

import sys
import time

import numpy as np

from napari_samri.geometry import Plane
from napari_samri.prompts import Box, Point, PromptSet
from napari_samri.session.journal import Journal
from tests.session.fakes import Bench


def main() -> None:
    bench = Bench()
    bench.load()
    session = bench.session
    journal = Journal(bench.volume, session.labels, print)
    session.stepped.connect(journal.write)
    for index in range(3):
        session.look_at(Plane(0, index))
        session.set_prompts(PromptSet(boxes=(Box(1, 1, 3 + index, 4),)))
        bench.answer()
        session.commit()
        session.next_object()
    session.undo()
    session.undo()  # the third commit: its prompts are open again
    session.reopen(Plane(0, 1), 2, 2)
    session.set_prompts(PromptSet(points=(Point(0.1, 2), Point(5, 5, False))))
    session.set_table(session.document.table.change(1, name="liver", locked=True))
    print(np.count_nonzero(session.labels), flush=True)  # noqa: T201
    if "wait" in sys.argv:
        journal.flush()
        print("written", flush=True)  # noqa: T201
    number = 0
    while True:  # killed in the middle of this
        number += 1
        session.set_prompts(PromptSet(points=(Point(0.1, 2), Point(5, 5 - number / 1e6, False))))
        if "wait" in sys.argv:
            time.sleep(0.001)


if __name__ == "__main__":
    main()
