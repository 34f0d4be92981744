"""``napari-samri finetune``: a decoder trained on a bank."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.cli.console import say
from napari_samri.cli.long_work import run_long_work
from napari_samri.cli.tuning import BANK, embed_then_fit, estimate_run, masks_in
from napari_samri.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from napari_samri.jobs import Cancel, Event
    from napari_samri.training import TrainConfig

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
    parser.add_argument("--model", default="starter", help="model to start from, or a checkpoint")
    parser.add_argument("--family", help="preprocessing of a checkpoint: sam, medsam, starter")
    parser.add_argument(
        "--objective",
        default="samri-bp",
        help="samri-box, samri-bp, medsam, simple or medicosam",
    )
    for name, text in _SWITCHES:
        parser.add_argument(f"--{name}", action="store_true", help=text)
    parser.add_argument("--augment", type=int, default=0, metavar="N", help=_AUGMENT)
    for name, kind, text in _NUMBERS:
        parser.add_argument(f"--{name}", type=kind, help=text)
    parser.add_argument("--device", default="auto", help="auto, cuda, mps or cpu")
    parser.add_argument("--sbatch", type=Path, metavar="FILE", help="write a SLURM script")
    parser.add_argument("--job", type=Path, metavar="FOLDER", help="report to a folder")
    parser.set_defaults(run=run)


_AUGMENT = (
    "show N turned and flipped copies of the slices too (up to 7; 3: quarter turns); they are "
    "embedded into RUN, so --from-manifest is needed"
)
_SWITCHES = (
    ("code-compat", "samri-box and samri-bp as the published code has them, not the paper"),
    ("small-data", "for 5 to 50 labelled slices: many short epochs, early stopping"),
    ("split-slices", "validate on blocks of slices if there are no patients for it"),
    ("components", "each connected piece of a label is an object, not all of them together"),
    ("estimate", "only measure how long it will take"),
)
_NUMBERS: tuple[tuple[str, type, str], ...] = (
    ("epochs", int, "200 by default"),
    ("batch", int, "masks per optimiser step over all processes; 1024 by default"),
    ("micro-batch", int, "masks at once on a device; 8 by default"),
    ("masks-per-slice", int, "masks that share a decoder call; by default the objective's: 4 or 5"),
    ("quota", int, "masks per data set and epoch, 5000 by default; 0: all of them, once"),
    ("learning-rate", float, "1e-5 by default"),
    ("weight-decay", float, "by default the objective's: 0.1 of samri, 0 of medsam, else 0.01"),
    ("rate-decay", float, "factor of the rate per epoch; by default the objective's: 1 or 0.9"),
    ("patience", int, "stop after so many epochs without a better validation; 0: never"),
    ("validate-every", int, "epochs; 1 by default"),
    ("validate-masks", int, "at most so many masks per split; 1000 by default"),
    ("seed", int, "0 by default"),
)


def run(options: argparse.Namespace) -> int:
    """Train; return the exit code."""
    config = config_of(options)
    if config.augment and options.from_manifest is None:
        message = "--augment embeds turned slices, for which it needs images: --from-manifest."
        raise InputError(message)
    if options.sbatch is not None:
        if options.from_manifest is not None:
            message = (
                "--sbatch is for a bank that is there; make it with 'napari-samri embed' and give "
                "that instead of --from-manifest."
            )
            raise InputError(message)
        _write_sbatch(options, config)
        return 0
    first = int(os.environ.get("RANK", "0")) == 0
    job = options.job if first else None
    return run_long_work(lambda cancel: _events(options, config, cancel), job, quiet=not first)


def config_of(options: argparse.Namespace) -> TrainConfig:
    """Return the run that the options ask for.

    Raises
    ------
    InputError
        If they make no sense.
    """
    from dataclasses import replace

    from napari_samri.training import TrainConfig, find_objective, small_data

    config = TrainConfig(
        bank=options.bank or options.out / BANK,
        out=options.out,
        model=options.model,
        family=options.family,
        objective=find_objective(options.objective, code_compat=options.code_compat),
        device=options.device,
        split_slices=options.split_slices,
        components=options.components,
        augment=options.augment,
    )
    if options.small_data:
        config = small_data(config, _masks(options, config))
    names = [name.replace("-", "_") for name, _, _ in _NUMBERS]
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    if given.get("quota") == 0:
        given["quota"] = None
    if (given.get("quota") or 1) < 0:
        message = f"--quota is {options.quota}; expected at least 1, or 0 for all masks once."
        raise InputError(message)
    return replace(config, **given)


def _events(options: argparse.Namespace, config: TrainConfig, cancel: Cancel) -> Iterator[Event]:
    from napari_samri.training import fit

    if options.estimate:
        return estimate_run(config, options.from_manifest, cancel)
    if options.from_manifest is not None:
        return embed_then_fit(options.from_manifest, config, cancel)
    return fit(config, cancel)


def _masks(options: argparse.Namespace, config: TrainConfig) -> int:
    """Return how many masks there are to train on."""
    if options.from_manifest is not None:
        from napari_samri.datasets import read_manifest

        return masks_in(read_manifest(options.from_manifest), config)["train"]
    from napari_samri.embeddings.bank import Bank
    from napari_samri.training import split_pairs

    splits = split_pairs(
        Bank(options.bank),
        split_slices=config.split_slices,
        components=config.components,
        least_pixels=config.objective.least_pixels,
    )
    return len(splits["train"])


def _write_sbatch(options: argparse.Namespace, config: TrainConfig) -> None:
    from napari_samri.atomic import replacing
    from napari_samri.training import sbatch_script

    with replacing(options.sbatch) as temporary:
        temporary.write_bytes(os.fsencode(sbatch_script(config, code_compat=options.code_compat)))
    say(f"wrote {options.sbatch}; look through it, then: sbatch {options.sbatch}")
