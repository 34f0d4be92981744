"""Damaged and hostile documents of every kind: read, passed over or refused, never a crash."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.hostile import READERS, Outcome, damaged, own_folders, try_one

if TYPE_CHECKING:
    from pathlib import Path

COUNT = 20


@pytest.mark.parametrize("name", READERS)
def test_hostile_documents_never_crash_a_reader(name: str, tmp_path: Path) -> None:
    reader, rng, outcome = READERS[name], Random(name), Outcome()  # noqa: S311
    with own_folders(tmp_path):
        path = reader.make(tmp_path)
        sound = path.read_bytes()
        try_one(reader, path, sound, sound_outcome := Outcome())
        for _ in range(COUNT):
            try_one(reader, path, damaged(sound, reader.form, rng), outcome)
    assert sound_outcome.counts == {"read": 1}
    assert outcome.crashes == []
    assert sum(outcome.counts.values()) == COUNT
