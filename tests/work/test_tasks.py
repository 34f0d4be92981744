"""Tasks as values: written down whole, read again, and known to others by a registry."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from napari_samri.cli.finetune import task_of
from napari_samri.cli.program import main, parser
from napari_samri.datasets import Rules
from napari_samri.errors import InputError
from napari_samri.jobs import Finished, Progressed, read_job
from napari_samri.training import TrainConfig, find_objective
from napari_samri.training.objective import Objective
from napari_samri.work import (
    TASKS,
    Background,
    Data,
    EmbedConfig,
    EmbedTask,
    FinetuneTask,
    Task,
    WarmTask,
    sbatch_script,
    task_from_json,
    task_to_json,
)
from napari_samri.work.main import main as do
from tests.work.hands import Hand, lent_hand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.jobs import Cancel, Event

OBJECTIVE = replace(find_objective("samri-bp"), jitter=2, focal=7)
TRAIN = TrainConfig(bank=Path("/a bank.zarr"), out=Path("/it's/a run"), objective=OBJECTIVE)
EMBED = EmbedConfig(manifest=Path("/m.json"), out=Path("/b.zarr"))
SAMPLES = (
    FinetuneTask(config=TRAIN, manifest=Path("/m.json")),
    EmbedTask(config=EMBED, data=Data(path=Path("/data"), rules=Rules(axis=2, train=7))),
    WarmTask(image=Path("/a.nii"), called="head", axis=2, time=3),
)
# A value of each type that differs from all defaults and is allowed everywhere.
OTHERS: dict[str, Any] = {
    "p_box": 0.25,
    "p_mask": 0.25,
    "min_share": 0.3,
    "rate_decay": 0.7,
    "learning_rate": 0.01,
    "optimiser": "adam",
    "quantisation": "int8",
    "rank": 2,
    "axis": 1,
    "augment": 3,
}
_BY_TYPE: dict[type, Any] = {bool: None, int: 6, float: 6.5, str: "other's", type(None): None}


def other(item: Any, name: str) -> Any:
    """Return a value of a field that is not the one it has."""
    value = getattr(item, name)
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, Path):
        return value / "other"
    return {"family": "sam", "channel": 4, "time": 5}.get(name, _BY_TYPE[type(value)])


def variants() -> Iterator[Task]:
    """Yield tasks that differ from the usual one in a single number each."""
    train, embed, data, rules = (
        TRAIN,
        replace(EMBED, ranks=4),
        SAMPLES[1].data,
        SAMPLES[1].data.rules,
    )
    for each in fields(Objective):
        objective = replace(OBJECTIVE, **{each.name: other(OBJECTIVE, each.name)})
        yield FinetuneTask(config=replace(train, objective=objective))
    for each in fields(TrainConfig):
        if each.name not in {"objective", "augment"}:
            yield FinetuneTask(config=replace(train, **{each.name: other(train, each.name)}))
    yield FinetuneTask(config=replace(train, augment=3), manifest=Path("/m.json"))
    yield FinetuneTask(config=train, estimate=True)
    for each in fields(EmbedConfig):
        yield EmbedTask(config=replace(embed, **{each.name: other(embed, each.name)}))
    for each in fields(Data):
        if each.name != "rules":
            yield EmbedTask(config=embed, data=replace(data, **{each.name: other(data, each.name)}))
    for each in fields(Rules):
        changed = replace(rules, **{each.name: other(rules, each.name)})
        yield EmbedTask(config=embed, data=replace(data, rules=changed))
    yield EmbedTask(config=embed, workers=3)
    yield EmbedTask(config=embed, dask="tcp://here:1")
    for each in fields(WarmTask):
        yield replace(SAMPLES[2], **{each.name: other(SAMPLES[2], each.name)})


def test_every_number_is_written_and_read() -> None:
    every = list(variants())
    assert len(set(map(repr, every))) == len(every) > 60, "each differs from all others"
    for task in (*SAMPLES, *every):
        text = json.dumps(task_to_json(task))
        assert task_from_json(json.loads(text)) == task


def run_script(script: str, folder: Path) -> list[str]:
    """Run a script as SLURM would, with commands that write down what they were asked for."""
    fake = folder / "bin"
    fake.mkdir(exist_ok=True)
    (fake / "srun").write_text(
        f'#!/bin/bash\nprintf "%s\\0" "$@" > {shlex.quote(str(folder))}/asked\n'
    )
    (fake / "scontrol").write_text("#!/bin/bash\necho node1\n")
    for command in fake.iterdir():
        command.chmod(0o755)
    (folder / "script").write_text(script)
    facts = {"SLURM_NNODES": "1", "SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1]"}
    facts |= {"SLURM_CPUS_PER_TASK": "4", "SLURM_ARRAY_TASK_ID": "3"}
    env = {"PATH": f"{fake}:/usr/bin:/bin", **facts}
    subprocess.run(["bash", str(folder / "script")], check=True, env=env)
    return (folder / "asked").read_text().split("\0")[:-1]


def test_a_script_is_the_very_same_training(tmp_path: Path) -> None:
    """Also where its numbers are those of no objective that has a name."""
    for task in variants():
        if isinstance(task, FinetuneTask) and task.manifest is None:
            words = run_script(sbatch_script(task), tmp_path)
            assert words[-3:-1] == ["-m", "napari_samri.work"]
            assert task_from_json(json.loads(words[-1])) == task


def test_a_script_is_the_very_same_embedding(tmp_path: Path) -> None:
    task = EmbedTask(config=replace(EMBED, ranks=4, quantisation="int8", family="sam"))
    *_, text, flag, rank = run_script(sbatch_script(task), tmp_path)
    assert task_from_json(json.loads(text)) == task
    assert (flag, rank) == ("--rank", "3")


def test_what_no_script_can_do_is_refused() -> None:
    with pytest.raises(InputError, match="on a bank that is there"):
        sbatch_script(FinetuneTask(config=TRAIN, manifest=Path("/m.json")))
    with pytest.raises(InputError, match="no script for such a task"):
        sbatch_script(SAMPLES[2])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"version": 2}, "is of version 2; expected 1"),
        ({"version": None}, "of version None"),
        ({"kind": "later"}, "kind is 'later'"),
        ({"axis": "a"}, "axis is 'a'"),
        ({"more": 1}, "more"),
    ],
)
def test_damaged_tasks_are_refused_in_words(change: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        task_from_json(task_to_json(SAMPLES[2]) | change)


def test_a_task_from_a_file_or_as_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = WarmTask(image=tmp_path / "nothing.nii")
    text = json.dumps(task_to_json(task))
    (tmp_path / "task.json").write_text(text)
    for what in (text, str(tmp_path / "task.json")):
        assert do([what]) == 2
        assert "nothing.nii" in capsys.readouterr().err
    assert do([str(tmp_path / "other.json")]) == 2
    assert "expected a job's folder or a task" in capsys.readouterr().err
    assert do([text, "--rank", "1"]) == 2
    assert "has no ranks" in capsys.readouterr().err


# The command line makes tasks


def test_the_command_line_asks_for_the_task_that_is_meant(tmp_path: Path) -> None:
    words = shlex.split(
        "--objective samri-box --code-compat --split-slices --components --epochs 7 --quota 0 "
        "--seed 5 --family sam --learning-rate 2e-4 --estimate"
    )
    options = parser().parse_args(["finetune", "/b.zarr", "--out", "/run", *words])
    config = TrainConfig(
        bank=Path("/b.zarr"),
        out=Path("/run"),
        objective=find_objective("samri-box", code_compat=True),
        split_slices=True,
        components=True,
        epochs=7,
        quota=None,
        seed=5,
        family="sam",
        learning_rate=2e-4,
    )
    assert task_of(options) == FinetuneTask(config=config, estimate=True)
    plain = task_of(parser().parse_args(["finetune", "/b.zarr", "--out", "/run"]))
    assert plain == FinetuneTask(config=TrainConfig(bank=Path("/b.zarr"), out=Path("/run")))


def test_errors_name_flags_on_the_command_line_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["finetune", str(tmp_path), "--out", str(tmp_path / "run")]
    assert main([*words, "--quota", "-1"]) == 2
    assert "--quota is -1" in capsys.readouterr().err
    assert main([*words, "--micro-batch", "0"]) == 2
    assert "micro batch is 0; expected at least 1. (--micro-batch)" in capsys.readouterr().err
    assert main([*words, "--augment", "2"]) == 2
    assert "needs images; expected a manifest instead of a bank. (--augment)" in (
        capsys.readouterr().err
    )
    with pytest.raises(InputError) as raised:
        TrainConfig(bank=tmp_path, out=tmp_path, micro_batch=0)
    assert "--" not in str(raised.value)


# Tasks of other packages


@dataclass(frozen=True, kw_only=True)
class Counting(Task):
    """Counts, for a test."""

    id: ClassVar[str] = "count"

    to: int = 3

    @property
    def name(self) -> str:
        return f"to {self.to}"

    def events(self, cancel: Cancel = lambda: False) -> Iterator[Event]:
        for done in range(1, self.to + 1):
            yield Progressed(done=done, total=self.to, what="numbers")
        yield Finished(text=f"counted to {self.to}")


def counting() -> type[Task]:
    """Return what an entry point stands for."""
    return Counting


hand = pytest.fixture(lent_hand, name="hand")


def test_a_task_of_another_package_is_known_and_forgotten() -> None:
    TASKS.register(Counting)
    try:
        assert task_from_json(task_to_json(Counting(to=5))) == Counting(to=5)
        with pytest.raises(InputError, match="a task with the id 'count' exists already"):
            TASKS.register(type("Other", (Counting,), {}))
    finally:
        TASKS.unregister(Counting)
    with pytest.raises(InputError, match="kind is 'count'"):
        task_from_json({"version": 1, "kind": "count", "to": 5})


def test_a_task_of_another_package_runs_as_a_job(
    hand: Hand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process finds it by the entry point of an installed package."""
    from tests.work import test_tasks as module  # as its process imports it

    package = tmp_path / "counting-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: counting\nVersion: 1\n")
    entry = f"[napari_samri.tasks]\ncount = {module.__name__}:counting\n"
    (package / "entry_points.txt").write_text(entry)
    paths = [str(tmp_path), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    TASKS.register(module.Counting)  # where it was started; packages were looked at already
    try:
        job = Background(hand.relay, ("count",))
        job.start(module.Counting(to=4))
        hand.until(lambda: not job.status.busy)
    finally:
        TASKS.unregister(module.Counting)
    assert (job.status.phase, job.status.text) == ("finished", "counted to 4")
    assert (job.status.done, job.status.total) == (4, 4)
    assert job.run is not None
    assert read_job(job.run.jobs[0].folder).task == {"version": 1, "kind": "count", "to": 4}
