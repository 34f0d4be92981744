"""``napari-samri embed``: a manifest in, an embedding bank out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.cli.flags import add_flags, given
from napari_samri.errors import InputError
from napari_samri.jobs import say
from napari_samri.work import EmbedConfig, EmbedTask, WarmTask, run_task

if TYPE_CHECKING:
    import argparse

    from napari_samri.work import Task

_EPILOG = """\
May be stopped (Ctrl+C) and run again at any time: what is there is left alone. On a cluster,
write a script with --sbatch, or give the address of a Dask scheduler to --dask. Exit codes: 0
done; 3 done, but some studies could not be read and were left out; 1 stopped; 2 bad input.
"""
_SCRIPT_RANKS = 8


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser("embed", help="embed the slices of a manifest", epilog=_EPILOG)
    parser.add_argument("manifest", type=Path, help="made by 'napari-samri prepare'")
    parser.add_argument("--out", type=Path, help="bank to make or to append to, NAME.zarr")
    add_flags(parser, EmbedConfig)
    parser.add_argument("--rank", type=int, help="do every N-th shard, from this one (--of N)")
    parser.add_argument("--of", type=int, metavar="N", help="number of ranks")
    add_flags(parser, EmbedTask)
    add_outputs(parser, "write a SLURM array script")
    parser.add_argument(
        "--warm",
        action="store_true",
        help="embed all slices of an image (in place of a manifest) into the viewer's cache",
    )
    add_flags(parser, WarmTask, but=("model", "family", "device"))
    parser.set_defaults(run=run)


def add_outputs(parser: argparse.ArgumentParser, script: str) -> None:
    """Add what long work may do beside running here."""
    parser.add_argument("--sbatch", type=Path, metavar="FILE", help=script)
    parser.add_argument("--job", type=Path, metavar="FOLDER", help="report to a folder")


def run(options: argparse.Namespace) -> int:
    """Embed; return the exit code."""
    return run_or_write(task_of(options), options)


def run_or_write(task: Task, options: argparse.Namespace) -> int:
    """Do a task here, or write a script that does; return the exit code."""
    if options.sbatch is None:
        return run_task(task, options.job)
    from napari_samri.atomic import replacing
    from napari_samri.work import sbatch_script

    script = sbatch_script(task)
    with replacing(options.sbatch) as temporary:
        temporary.write_bytes(os.fsencode(script))
    say(f"wrote {options.sbatch}; look through it, then: sbatch {options.sbatch}")
    return 0


def task_of(options: argparse.Namespace) -> Task:
    """Return the task that the options ask for.

    Raises
    ------
    InputError
        If they contradict each other.
    """
    if options.warm:
        return WarmTask(image=options.manifest, **given(options, WarmTask))
    if options.out is None:
        message = f"{options.manifest}: --out is missing; expected the bank to make, NAME.zarr."
        raise InputError(message)
    if options.sbatch is None and (options.rank is None) != (options.of is None):
        message = "--rank and --of belong together; give both or none."
        raise InputError(message)
    alone = options.rank is None and options.sbatch is None
    config = EmbedConfig(
        manifest=options.manifest,
        out=options.out,
        rank=options.rank or 0,
        ranks=1 if alone else options.of or _SCRIPT_RANKS,
        **given(options, EmbedConfig),
    )
    return EmbedTask(config=config, **given(options, EmbedTask))
