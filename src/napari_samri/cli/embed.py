"""``napari-samri embed``: a manifest in, an embedding bank out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.cli.console import say
from napari_samri.cli.long_work import run_long_work
from napari_samri.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from napari_samri.jobs import Cancel, Event
    from napari_samri.work import EmbedConfig

_EPILOG = """\
May be stopped (Ctrl+C) and run again at any time: what is there is left alone. On a cluster,
write a script with --sbatch, or give the address of a Dask scheduler to --dask. Exit codes: 0
done; 3 done, but some studies could not be read and were left out; 1 stopped; 2 bad input.
"""


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser("embed", help="embed the slices of a manifest", epilog=_EPILOG)
    parser.add_argument("manifest", type=Path, help="made by 'napari-samri prepare'")
    parser.add_argument("--out", type=Path, help="bank to make or to append to, NAME.zarr")
    parser.add_argument("--model", default="starter", help="id of a model, or a checkpoint")
    parser.add_argument("--family", help="preprocessing of a checkpoint: sam, medsam, starter")
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument(
        "--quantise",
        choices=("float16", "int8"),
        default="float16",
        help="int8 takes half the bytes; see the documentation for what it costs",
    )
    parser.add_argument("--rank", type=int, help="do every N-th shard, from this one (--of N)")
    parser.add_argument("--of", type=int, metavar="N", help="number of ranks")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on the workers of this scheduler")
    parser.add_argument("--sbatch", type=Path, metavar="FILE", help="write a SLURM array script")
    parser.add_argument("--job", type=Path, metavar="FOLDER", help="report to a folder")
    parser.add_argument(
        "--warm",
        action="store_true",
        help="embed all slices of an image (in place of a manifest) into the viewer's cache",
    )
    parser.add_argument("--axis", type=int, choices=(0, 1, 2), default=0, help="for --warm")
    parser.add_argument("--time", type=int, help="for --warm: time point of a 4D image")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Embed; return the exit code."""
    if options.sbatch is not None:
        _write_sbatch(options)
        return 0
    return run_long_work(lambda cancel: _events(options, cancel), options.job)


def config_of(options: argparse.Namespace) -> EmbedConfig:
    """Return the run that the options ask for.

    Raises
    ------
    InputError
        If they contradict each other.
    """
    from napari_samri.work import EmbedConfig

    if options.out is None:
        message = f"{options.manifest}: --out is missing; expected the bank to make, NAME.zarr."
        raise InputError(message)
    if options.sbatch is None and (options.rank is None) != (options.of is None):
        message = "--rank and --of belong together; give both or none."
        raise InputError(message)
    return EmbedConfig(
        manifest=options.manifest,
        out=options.out,
        model=options.model,
        family=options.family,
        device=options.device,
        quantisation=options.quantise,
        rank=options.rank or 0,
        ranks=1 if options.rank is None else options.of,
    )


def _events(options: argparse.Namespace, cancel: Cancel) -> Iterator[Event]:
    if options.warm:
        from napari_samri.work import warm_cache

        return warm_cache(
            options.manifest,
            axis=options.axis,
            time=options.time,
            model=options.model,
            family=options.family,
            device=options.device,
            cancel=cancel,
        )
    config = config_of(options)
    if options.dask is not None:
        from napari_samri.work import embed_on_cluster

        return embed_on_cluster(config, options.dask, cancel)
    from napari_samri.work import embed_bank

    return embed_bank(config, cancel)


def _write_sbatch(options: argparse.Namespace) -> None:
    from napari_samri.atomic import replacing
    from napari_samri.work import sbatch_script

    config = config_of(options)
    with replacing(options.sbatch) as temporary:
        temporary.write_bytes(os.fsencode(sbatch_script(config, ranks=options.of or 8)))
    say(f"wrote {options.sbatch}; look through it, then: sbatch {options.sbatch}")
