"""``napari-samri finetune``: a decoder trained on a bank."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.cli.embed import add_outputs, run_or_write
from napari_samri.cli.flags import add_flags, given
from napari_samri.errors import InputError
from napari_samri.training import TrainConfig, find_objective, small_data
from napari_samri.work import RUN_BANK, FinetuneTask, masks_to_learn

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
May be stopped (Ctrl+C) and run again at any time with the same options: it goes on where it was.
On several GPUs: torchrun --nproc-per-node N -m napari_samri finetune BANK ... The folder RUN
holds best.safetensors, which any --model option takes, and curves.jsonl.
"""


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser(
        "finetune", help="train a mask decoder on an embedding bank", epilog=_EPILOG
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("bank", type=Path, nargs="?", help="made by 'napari-samri embed'")
    source.add_argument(
        "--from-manifest", type=Path, metavar="FILE", help="embed this into RUN/bank.zarr first"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument(
        "--code-compat",
        action="store_true",
        help="samri-box and samri-bp as the published code has them, not the paper",
    )
    parser.add_argument(
        "--small-data",
        action="store_true",
        help="for 5 to 50 labelled slices: many short epochs, early stopping",
    )
    add_flags(parser, TrainConfig)
    add_flags(parser, FinetuneTask)
    add_outputs(parser, "write a SLURM script")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Train; return the exit code."""
    return run_or_write(task_of(options), options)


def task_of(options: argparse.Namespace) -> FinetuneTask:
    """Return the task that the options ask for.

    Raises
    ------
    InputError
        If they make no sense.
    """
    fields = given(options, TrainConfig)
    objective = find_objective(fields.pop("objective", "samri-bp"), code_compat=options.code_compat)
    if (fields.get("quota") or 1) < 0:
        message = f"--quota is {options.quota}; expected at least 1, or 0 for all masks once."
        raise InputError(message)
    if fields.get("quota") == 0:
        fields["quota"] = None
    config = TrainConfig(
        bank=options.bank or options.out / RUN_BANK,
        out=options.out,
        objective=objective,
        **fields,
    )
    if options.small_data:
        few = small_data(config, masks_to_learn(config, options.from_manifest))
        config = replace(few, **fields)
    return FinetuneTask(
        config=config, manifest=options.from_manifest, **given(options, FinetuneTask)
    )
