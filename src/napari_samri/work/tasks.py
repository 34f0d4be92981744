"""The tasks there are: embed data into a bank, fine-tune a decoder, embed a volume for a viewer."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from napari_samri.datasets import read_manifest
from napari_samri.errors import Cancelled, OptionError
from napari_samri.jobs import Event, Measured, Problem, Stopped, never
from napari_samri.options import DEVICE, FAMILY, MODEL, option
from napari_samri.work.config import EmbedConfig  # noqa: TC001  # its annotations are read
from napari_samri.work.data import Data, check_replaceable
from napari_samri.work.task import Count, Made, Phase, Task

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from napari_samri.jobs import Cancel, Progressed

from napari_samri.training import LOSS, PREVIEW, TrainConfig, read_curves, read_preview

BEST = "best.safetensors"
MAX_WORKERS = 64
Ready = tuple[tuple[Task, ...], tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class EmbedTask(Task):
    """Embed a training set into a bank.

    Parameters
    ----------
    config : EmbedConfig
    data : Data or None
        Are prepared first, into the manifest that `config` names.
    workers : int
        Processes at once, where it is started as a job.
    dask : str
        Address of a Dask scheduler, on whose workers it runs; empty: here.
    """

    id: ClassVar[str] = "embed"
    busy_text: ClassVar[str] = "something is being embedded already; wait for it, or cancel it."
    stopping_text: ClassVar[str] = "Stopping after the slice that is being embedded"
    all_done_text: ClassVar[str] = "All slices are embedded."

    config: EmbedConfig
    data: Data | None = None
    workers: int = option(
        1,
        label="Processes",
        low=1,
        high=MAX_WORKERS,
        cli=False,
        tip="Each has its own model in memory and takes its share of the slices; more than one "
        "pays where there are many cores, or several GPUs' worth of memory",
    )
    dask: str = option(
        "", metavar="ADDRESS", help="run on the workers of this scheduler", form=False
    )

    @property
    def name(self) -> str:
        """The bank's."""
        return self.config.out.name

    @property
    def title(self) -> str:
        """For people."""
        return f"Embedding into {self.name}"

    @property
    def names(self) -> dict[Path, str]:
        """The bank's: a widget is narrow."""
        return {self.config.out: self.name}

    def ready(self, folder: Path, cancel: Cancel) -> Generator[Progressed, None, Ready]:
        """Prepare the data, if they are no manifest yet, beside the bank."""
        manifest = self.config.manifest
        if self.data is None:
            problems = read_manifest(manifest).problems
        else:
            check_replaceable(manifest)
            problems = yield from self.data.write_manifest(manifest, cancel)
        every = [self.config]
        if self.workers > 1:
            every = [replace(self.config, rank=n, ranks=self.workers) for n in range(self.workers)]
        tasks = (replace(self, config=each, data=None, workers=1) for each in every)
        return tuple(tasks), problems

    def events(self, cancel: Cancel = never) -> Iterator[Event]:
        """Embed in this process, or on a cluster's workers."""
        from napari_samri.work.cluster import embed_on_cluster
        from napari_samri.work.embed import embed_bank

        if self.data is not None:
            yield from _after_reading(replace(self, workers=1), cancel)
        elif self.dask:
            yield from embed_on_cluster(self.config, self.dask, cancel)
        else:
            yield from embed_bank(self.config, cancel)

    def made(self, before: Made) -> Made:
        """Return the bank."""
        return replace(before, bank=self.config.out)

    def worth_showing(self, told: Phase | None) -> bool:
        """Tell so also of one whose bank can be opened."""
        return told is None or (told == "finished" and self.config.out.exists())


@dataclass(frozen=True, kw_only=True)
class WarmTask(Task):
    """Embed all slices of a volume, along an axis, into the cache that viewers share.

    Parameters
    ----------
    image : pathlib.Path
    called : str
        What the image is called; empty: as its file.
    axis : int
        Display axis.
    time : int or None
        Time point of a 4D image.
    model, family, device
        As in `EmbedConfig`.
    """

    id: ClassVar[str] = "warm"
    busy_text: ClassVar[str] = EmbedTask.busy_text
    stopping_text: ClassVar[str] = EmbedTask.stopping_text

    image: Path
    called: str = ""
    axis: int = option(0, choices=(0, 1, 2), help="for --warm", form=False)
    time: int | None = option(None, help="for --warm: time point of a 4D image", form=False)
    model: str = option("starter", MODEL)
    family: str | None = option(None, FAMILY)
    device: str = option("auto", DEVICE)

    @property
    def name(self) -> str:
        """The image's."""
        return self.called or self.image.name

    @property
    def title(self) -> str:
        """For people."""
        return f"Embedding {self.name}"

    @property
    def names(self) -> dict[Path, str]:
        """The image's."""
        return {self.image: self.name}

    def events(self, cancel: Cancel = never) -> Iterator[Event]:
        """Embed one slice after the other."""
        from napari_samri.work.warm import warm_cache

        return warm_cache(
            self.image,
            axis=self.axis,
            time=self.time,
            model=self.model,
            family=self.family,
            device=self.device,
            cancel=cancel,
        )


@dataclass(frozen=True, kw_only=True)
class FinetuneTask(Task):
    """Train a decoder, or find out how long that takes.

    It looks whether it shall stop between pieces of a step, which take a second or a few. What
    does not answer, such as a step on a machine out of memory, is ended: the state was saved.

    Parameters
    ----------
    config : TrainConfig
    manifest : pathlib.Path or None
        Is embedded into the bank that `config` names first.
    data : Data or None
        Are prepared before that.
    estimate : bool
        Nothing is trained, and nothing is left behind.

    Raises
    ------
    OptionError
        If turned copies are asked for of a bank.
    """

    id: ClassVar[str] = "finetune"
    busy_text: ClassVar[str] = "something is being trained already; wait for it, or cancel it."
    stopping_text: ClassVar[str] = "Stopping; the best so far is kept"
    lists_notes_of: ClassVar[str] = "masks"
    grace_seconds: ClassVar[float | None] = 20.0

    config: TrainConfig
    manifest: Path | None = None
    data: Data | None = None
    estimate: bool = option(False, help="only measure how long it will take", form=False)

    def __post_init__(self) -> None:
        if self.config.augment and self.manifest is None and self.data is None:
            message = (
                "turned copies of slices are embedded, which needs images; expected a manifest "
                "instead of a bank."
            )
            raise OptionError(message, "augment")

    @property
    def name(self) -> str:
        """The run's."""
        return self.config.out.name

    @property
    def title(self) -> str:
        """For people."""
        what = "Estimating time and memory" if self.estimate else "Fine-tuning"
        return f"{what}: {self.name}"

    @property
    def names(self) -> dict[Path, str]:
        """The run's and the bank's."""
        return {self.config.out: self.name, self.config.bank: self.config.bank.name}

    def check(self) -> None:
        """Find out whether there is anything to train on in a bank."""
        from napari_samri.work.facts import facts_of_bank

        if self.manifest is None and self.data is None:
            facts_of_bank(self.config.bank)

    def ready(self, folder: Path, cancel: Cancel) -> Generator[Progressed, None, Ready]:
        """Prepare the data, if they are no manifest yet: nothing of the run is touched by that."""
        if self.data is None:
            return (self,), ()
        manifest = folder / "manifest.json"
        problems = yield from self.data.write_manifest(manifest, cancel)
        return (replace(self, manifest=manifest, data=None),), problems

    def events(self, cancel: Cancel = never) -> Iterator[Event]:
        """Train on a bank, which is made first if it has to be, or measure a few steps."""
        from napari_samri.training import fit
        from napari_samri.work.finetune import embed_then_fit, estimate_run

        if self.data is not None:
            yield from _after_reading(self, cancel)
        elif self.estimate:
            yield from estimate_run(self.config, self.manifest, cancel)
        elif self.manifest is not None:
            yield from embed_then_fit(self.manifest, self.config, cancel)
        else:
            yield from fit(self.config, cancel)

    def progress(self, count: Count) -> str:
        """Say in which epoch it is, and what the last Dice was."""
        if count.what == "slices":
            return f"Embedding: {count.text}"
        epochs = self.config.epochs
        epoch = min(epochs, 1 + count.done * epochs // count.total)
        text = f"Epoch {epoch} of {epochs}{count.left}"
        validated = [point for point in count.curve if _dice(point) is not None]
        if not validated:
            return text
        tuned = any(point.at > 0 for point in validated)
        return f"{text}; Dice {_dice(validated[-1]):.3f}{'' if tuned else ' before training'}"

    def made(self, before: Made) -> Made:
        """Read what the run has written, here rather than in the window's thread."""
        if self.estimate:
            return before
        out = self.config.out
        best, points = out / BEST, tuple(read_curves(out))
        found = replace(before, points=points, best=best if best.exists() else None)
        seen = _last_change(out / PREVIEW)
        return (
            found if seen == before.seen else replace(found, seen=seen, preview=read_preview(out))
        )

    def worth_showing(self, told: Phase | None) -> bool:
        """Tell so also of one whose decoder can be used, and of no estimate."""
        return not self.estimate and (told is None or (self.config.out / BEST).exists())


def _after_reading(task: Task, cancel: Cancel) -> Iterator[Event]:
    """Do what a task has to read first, and then the task, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        steps = task.ready(Path(folder), cancel)
        try:
            while True:
                yield replace(next(steps), what="studies")
        except StopIteration as end:
            (task,), problems = end.value
        except Cancelled as error:
            yield Stopped(text=str(error))
            return
        yield from (Problem(text=text) for text in problems)
        yield from task.events(cancel)


def _dice(point: Measured) -> float | None:
    return next((value for name, value in point.values.items() if name != LOSS), None)


def _last_change(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
