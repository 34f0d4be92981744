"""Everything that is damaged is found, taken away if asked for, and nothing else."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_samri.embeddings.bank import Bank, PartPlan, create_bank, create_part
from napari_samri.embeddings.bank.files import checksum, write_shard
from napari_samri.embeddings.bank.verify import verify_bank
from napari_samri.errors import InputError
from napari_samri.jobs.events import Finished, Noted, Problem, Progressed, Started, Stopped
from tests.embeddings.bank.made_up import HEADER, INT8, digests, fill, make_part, manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_samri.embeddings.bank import Part

ROWS = 150
MISSING = {3, 17, *range(64, 128)}


@pytest.fixture
def part(tmp_path: Path, request: pytest.FixtureRequest) -> Part:
    """Return a part of an int8 bank; where a test is about keys, of one that has them."""
    name = request.node.callspec.params.get("name", "") if hasattr(request.node, "callspec") else ""
    header = HEADER if name.startswith("key") else INT8
    make_part(tmp_path / "bank", header, manifest(10, name="heart"))
    return make_part(tmp_path / "bank", header, manifest(ROWS), missing=MISSING)


def damaged(bank: Path, **options: Any) -> list[tuple[int | None, str]]:
    """Return shard and name of everything that is found."""
    events = list(verify_bank(bank, **options))
    assert isinstance(events[-1], Finished)
    found = events[-1].details["damaged"]
    assert len([event for event in events if isinstance(event, Problem)]) == len(found)
    return [(item["shard"], item["what"]) for item in found]


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 16
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def test_a_whole_bank(part: Part, tmp_path: Path) -> None:
    before = digests(tmp_path)
    for quick in (True, False):
        assert damaged(tmp_path / "bank", quick=quick, drop=True) == []
    assert digests(tmp_path) == before
    events = list(verify_bank(tmp_path / "bank"))
    assert events[0] == Started(what="shards", total=4)
    done = [event.done for event in events if isinstance(event, Progressed)]
    assert done == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["emb", "labels", "thumb", "scale", "key"])
@pytest.mark.parametrize("damage", [cut, lambda path: flip(path, -1), lambda path: path.unlink()])
@pytest.mark.parametrize("quick", [True, False])
def test_torn_and_missing_files(
    name: str, damage: Callable[[Path], None], quick: bool, part: Part, tmp_path: Path
) -> None:
    damage(part.shard_path(name, 2))
    assert damaged(tmp_path / "bank", quick=quick) == [(2, name)]


@pytest.mark.parametrize("name", ["emb", "labels", "thumb"])
def test_a_damaged_chunk(name: str, part: Part, tmp_path: Path) -> None:
    flip(part.shard_path(name, 0), 5)
    assert damaged(tmp_path / "bank", quick=True) == []
    assert damaged(tmp_path / "bank") == [(0, name)]


@pytest.mark.parametrize("name", ["labels", "emb"])
def test_rows_that_only_some_arrays_have(name: str, part: Part, tmp_path: Path) -> None:
    """As two processes leave them of which one could not read a study."""
    array = part.plan.arrays[name]
    row = array.pack(np.zeros(array.shape, array.dtype))
    write_shard(part.shard_path(name, 2), [row, None, row], 64)
    found = damaged(tmp_path / "bank", quick=True)
    expected = ["sealed.json", "labels", "thumb", "scale"] if name == "emb" else ["labels"]
    assert [what for _, what in found] == expected


@pytest.mark.parametrize("value", [-1.0, np.nan, 0.0])
def test_scales_that_make_no_sense(value: float, part: Part, tmp_path: Path) -> None:
    path = part.shard_path("scale", 2)
    scales = np.frombuffer(path.read_bytes()[:-4], "<f4").reshape(64, -1).copy()
    scales[4] = value
    path.write_bytes(scales.tobytes() + checksum(scales.tobytes()))
    assert damaged(tmp_path / "bank") == [(2, "scale")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rows/slice/c/0", "rows"),
        ("rows/split/zarr.json", "rows"),
        ("pairs/box_xyxy/c/0/0", "pairs"),
        ("emb/zarr.json", "emb"),
        ("thumb/zarr.json", "thumb"),
        ("key/zarr.json", "key"),
        ("sealed.json", "sealed.json"),
    ],
)
def test_tables_are_made_anew(name: str, expected: str, part: Part, tmp_path: Path) -> None:
    before = digests(tmp_path)
    cut(part.path / name)
    if name == "sealed.json":
        (part.path / name).write_text('{"missing":[1]}')
    assert damaged(tmp_path / "bank", quick=True) == [(None, expected)]
    assert damaged(tmp_path / "bank", drop=True) == [(None, expected)]
    assert damaged(tmp_path / "bank") == []
    assert digests(tmp_path) == before


def test_a_missing_table(part: Part, tmp_path: Path) -> None:
    before = digests(tmp_path)
    shutil.rmtree(part.path / "rows")
    assert damaged(tmp_path / "bank", drop=True) == [(None, "rows")]
    assert digests(tmp_path) == before


def test_another_codec_is_noticed(part: Part, tmp_path: Path) -> None:
    path = part.path / "emb" / "zarr.json"
    content = json.loads(path.read_text())
    content["shape"][0] += 1
    path.write_text(json.dumps(content))
    assert damaged(tmp_path / "bank") == [(None, "emb")]


def test_an_altered_plan_is_named_and_the_rest_is_checked(part: Part, tmp_path: Path) -> None:
    (part.path / "plan.json").write_text("{}")
    flip(next((tmp_path / "bank" / "parts").glob("00001-*")) / "emb" / "c.0.0.0.0", 5)
    assert damaged(tmp_path / "bank", drop=True) == [(None, "plan.json"), (0, "emb")]
    assert part.sealed


@pytest.mark.parametrize("name", ["emb", "labels", "scale", "key"])
def test_damaged_shards_are_taken_away_and_no_others(name: str, part: Part, tmp_path: Path) -> None:
    before = digests(tmp_path)
    flip(part.shard_path(name, 0), 9)
    assert damaged(tmp_path / "bank", drop=True) == [(0, name)]
    assert part.missing_shards() == [0]
    with Bank(tmp_path / "bank") as bank:
        assert len(bank) == 10
    fill(part, missing=MISSING, shards=part.missing_shards())
    part.seal()
    assert digests(tmp_path) == before


def test_a_part_that_is_being_filled_is_not_damaged(tmp_path: Path) -> None:
    create_bank(tmp_path, HEADER)
    part = create_part(tmp_path, PartPlan.of(HEADER, manifest(ROWS)))
    fill(part, shards=[1])
    assert damaged(tmp_path) == []
    cut(part.shard_path("emb", 1))
    assert damaged(tmp_path, drop=True) == [(1, "emb")]
    assert part.missing_shards() == [0, 1, 2]
    assert not part.shard_path("emb", 1).exists()


def test_cancel_changes_nothing(part: Part, tmp_path: Path) -> None:
    flip(part.shard_path("emb", 0), 5)
    before = digests(tmp_path)
    events = list(verify_bank(tmp_path / "bank", drop=True, cancel=lambda: True))
    assert isinstance(events[-1], Stopped)
    assert digests(tmp_path) == before


def test_what_is_no_bank(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not an embedding bank"):
        list(verify_bank(tmp_path))


def everything(bank: Path) -> dict[str, Any]:
    """Return all that can be read."""
    with Bank(bank) as opened:
        rows = range(len(opened))
        stored = [opened.stored(row) for row in rows]
        return {
            "rows": opened.rows,
            "pairs": opened.pairs,
            "labels": np.stack([opened.labels(row) for row in rows]),
            "thumb": np.stack([opened.thumb(row) for row in rows]),
            "values": np.stack([values for values, _ in stored]),
            "scales": np.stack([scale for _, scale in stored if scale is not None]),
        }


def test_a_flipped_bit_in_any_file_is_seen_or_harmless(tmp_path: Path) -> None:
    bank = tmp_path / "bank"
    make_part(bank, INT8, manifest(5), missing=[2])
    expected = everything(bank)
    rng = np.random.default_rng(6)
    files = sorted(path for path in bank.rglob("*") if path.is_file())
    assert {path.name for path in files} >= {"digests.json", "sealed.json", "plan.json", "c.0.0"}
    harmless = []
    for path in files:
        content = path.read_bytes()
        changed = bytearray(content)
        changed[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        try:
            if not damaged(bank):
                np.testing.assert_equal(everything(bank), expected, path.name)
                harmless.append(path)
        except InputError:
            assert path == bank / "zarr.json"
        path.write_bytes(content)
    assert len(harmless) <= 1, "blanks of the header of the bank at most"


def test_a_missing_file_is_damage(part: Part, tmp_path: Path) -> None:
    """All but the bank's own header, without which it is none."""
    names = ["sealed.json", "digests.json", "zarr.json", "emb/zarr.json", "pairs/label/c/0"]
    for name in names:
        content = (part.path / name).read_bytes()
        (part.path / name).unlink()
        assert damaged(tmp_path / "bank", quick=True) == [(None, name.partition("/")[0])], name
        (part.path / name).write_bytes(content)


@pytest.mark.parametrize("name", ["sealed.json", "digests.json", "zarr.json", "rows/zarr.json"])
def test_what_says_that_a_part_is_complete_is_made_anew(
    name: str, part: Part, tmp_path: Path
) -> None:
    before = digests(tmp_path)
    (part.path / name).unlink()
    assert len(damaged(tmp_path / "bank", quick=True, drop=True)) == 1
    assert digests(tmp_path) == before


def test_a_part_without_a_plan_is_damage(part: Part, tmp_path: Path) -> None:
    (part.path / "plan.json").unlink()
    assert damaged(tmp_path / "bank") == [(None, "plan.json")]
    with pytest.raises(InputError, match="embed' again"):
        Bank(tmp_path / "bank")


def test_whole_shards_in_each_other_s_place_are_found(tmp_path: Path) -> None:
    """Each chunk's checksum is right, but the rows are others."""
    part = make_part(tmp_path / "bank", HEADER, manifest(128))
    for name in ("labels", "thumb", "emb"):
        one, two = (part.shard_path(name, shard) for shard in (0, 1))
        content = one.read_bytes()
        one.write_bytes(two.read_bytes())
        two.write_bytes(content)
    found = damaged(tmp_path / "bank")
    assert found == [(shard, name) for shard in (0, 1) for name in ("emb", "labels", "thumb")]


def test_a_bank_of_before_digests_opens_and_says_so(part: Part, tmp_path: Path) -> None:
    expected = everything(tmp_path / "bank")
    (part.path / "digests.json").unlink()
    mark = {"rows": ROWS, "missing": sorted(MISSING)}
    (part.path / "sealed.json").write_text(json.dumps(mark, separators=(",", ":")) + "\n")
    events = list(verify_bank(tmp_path / "bank"))
    noted = [event.text for event in events if isinstance(event, Noted)]
    assert noted == [f"{part.path.name}: no digests, so checked by its checksums only"]
    assert not any(isinstance(event, Problem) for event in events)
    np.testing.assert_equal(everything(tmp_path / "bank"), expected)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 5000,
        "[]",
        '{"missing":[1e3]}',
        '{"missing":[150]}',
        '{"missing":[-1]}',
        '{"missing":[],"rows":149}',
        '{"missing":[],"other":1}',
        '{"missing":[],"digests":"' + "0" * 64 + '"}',
        '{"missing":[],"digests":"' + "0" * 64 + '","sha256":"' + "0" * 64 + '"}\n',
    ],
)
def test_hostile_marks_are_damage(content: str, part: Part, tmp_path: Path) -> None:
    (part.path / "sealed.json").write_text(content)
    with pytest.raises(InputError, match="drop what is damaged"):
        Bank(tmp_path / "bank")
    assert damaged(tmp_path / "bank", quick=True) == [(None, "sealed.json")]
