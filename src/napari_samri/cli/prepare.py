"""``napari-samri prepare``: data sets in, a manifest of slices to train on out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.cli.flags import add_flags, given
from napari_samri.datasets import Rules, shares_of
from napari_samri.datasets.layouts import LAYOUTS
from napari_samri.errors import InputError
from napari_samri.filenames import check_name, has_suffix

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from napari_samri.datasets import Manifest, NameReading, Source

_MANIFEST_BEGINS = b'{"format":"napari-samri-manifest"'
_EPILOG = """\
A SOURCE is a folder or a CSV with the columns image, labels and, if you like, patient, dataset,
class (one file per structure) and rater;
NAME=PATH names its data set. Studies that cannot be used are listed and left out (exit code 3).
"""


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser(
        "prepare", help="choose slices to train on and split patients", epilog=_EPILOG
    )
    _add_inputs(parser)
    _add_rules(parser)
    parser.add_argument("--out", type=Path, required=True, help="manifest to write, .json")
    parser.add_argument("--force", action="store_true", help="replace a manifest that is there")
    parser.add_argument(
        "--relative", action="store_true", help="name roots relative to the manifest's folder"
    )
    parser.add_argument(
        "--strict", action="store_true", help="write nothing if there is any problem"
    )
    parser.set_defaults(run=run)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="PATH or NAME=PATH")
    parser.add_argument("--images", type=Path, help="a folder of images, with --labels")
    parser.add_argument("--labels", type=Path, help="the labels of --images, by equal names")
    parser.add_argument(
        "--layout", choices=[layout.id for layout in LAYOUTS], help="layout of all sources"
    )
    parser.add_argument(
        "--patient-pattern",
        "--patient",
        dest="patient",
        action="append",
        default=[],
        metavar="REGEX",
        help="tells the patient from an image's path, by the group (?P<patient>...) or the first "
        "one; may be repeated",
    )
    parser.add_argument(
        "--channel", type=int, help="of 4D images, the volume that the labels belong to, from 0"
    )
    parser.add_argument(
        "--zero-shot",
        action="append",
        default=[],
        metavar="NAME",
        help="hold a data set out whole; may be repeated",
    )
    parser.add_argument("--max-voxels", type=int, help="read images of up to this many voxels")


def _add_rules(parser: argparse.ArgumentParser) -> None:
    add_flags(parser, Rules)
    parser.add_argument(
        "--split",
        default="80:10:10",
        metavar="TRAIN:VALIDATION:TEST",
        help="shares of the patients (80:10:10)",
    )


def run(options: argparse.Namespace) -> int:
    """Prepare and write; return 3 if something had to be left out."""
    _check_out(options)
    rules, sources = _rules(options), _sources(options)
    from napari_samri.cli.console import show
    from napari_samri.datasets import prepare, with_relative_roots, write_manifest
    from napari_samri.jobs import EXIT_PARTIAL, ProgressLine, say

    progress = ProgressLine()
    manifest = prepare(
        sources,
        rules,
        patient_pattern=options.patient,
        zero_shot=options.zero_shot,
        max_voxels=options.max_voxels,
        progress=lambda step: progress.step(step.done, step.total, "studies"),
    )
    for problem in manifest.problems:
        say(f"problem: {problem}")
    if options.strict and manifest.problems:
        message = (
            f"{options.out}: not written, for --strict allows no problems and there are "
            f"{len(manifest.problems)}. Mend them, or leave --strict away."
        )
        raise InputError(message)
    if options.relative:
        manifest = with_relative_roots(manifest, options.out.absolute().parent)
    write_manifest(options.out, manifest)
    lines = (*summary(manifest), *names_table(manifest))
    show("".join(f"{line}\n" for line in lines))
    say(f"wrote {options.out}: {manifest.rows:,} slices of {len(manifest.studies):,} studies")
    return EXIT_PARTIAL if manifest.problems else 0


def summary(manifest: Manifest) -> Iterator[str]:
    """Say what is in a manifest: a table by data set and split, and what was left out."""
    width = max(len("data set"), *(len(dataset.name) for dataset in manifest.datasets))
    head = ("split", "studies", "patients", "slices", "regions")
    yield _row("data set", head, width)
    for dataset in manifest.datasets:
        for split in ("train", "validation", "test", "zero-shot"):
            studies = [
                each
                for each in manifest.studies
                if each.dataset == dataset.name and each.split == split
            ]
            if studies:
                slices = [entry for study in studies for entry in study.slices]
                patients = len({study.patient for study in studies})
                regions = sum(len(entry.regions) for entry in slices)
                counts = (len(studies), patients, len(slices), regions)
                yield _row(dataset.name, (split, *(f"{count:,}" for count in counts)), width)
    for reason, count in manifest.left_out.items():
        yield f"left out: {count:,} {reason}"


def names_table(manifest: Manifest) -> Iterator[str]:
    """Say how the names of images were read: a row for each way, with an example."""
    ways: dict[tuple[str, str, str], list[NameReading]] = {}
    for each in manifest.names_read:
        way = (each.dataset, str(each.known_by), ", ".join(each.parts) or "-")
        ways.setdefault(way, []).append(each)
    rows = [("data set", "known by", "known parts", "images", "patients", "such as")]
    for way, found in ways.items():
        first = found[0]
        same = first.name == first.patient
        example = first.patient if same else f"{first.name} -> {first.patient}"
        people = len({each.patient for each in found})
        rows.append((*way, f"{len(found):,}", f"{people:,}", example))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield "how patients were read from names:"
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(name: str, cells: tuple[str, ...], width: int) -> str:
    split, *counts = cells
    return f"{name:{width}}  {split:10}" + "".join(f"{cell:>10}" for cell in counts)


def _sources(options: argparse.Namespace) -> list[Source]:
    from napari_samri.datasets import Source

    sources = [
        replace(Source.parse(text, options.layout), channel=options.channel)
        for text in options.sources
    ]
    if (options.images is None) != (options.labels is None):
        message = "--images and --labels belong together; expected both or none."
        raise InputError(message)
    if options.images is not None:
        images, labels = options.images, options.labels
        sources.append(Source(images, labels=labels, channel=options.channel))
    return sources


def _rules(options: argparse.Namespace) -> Rules:
    try:
        shares = shares_of(options.split)
    except InputError as error:
        message = f"--split {options.split}: {error}"
        raise InputError(message) from error
    return Rules(**shares, **given(options, Rules))


def _check_out(options: argparse.Namespace) -> None:
    """Find out early what would only fail after the work was done."""
    out: Path = options.out
    check_name(out)
    if not has_suffix(out, [".json"]):
        message = f"--out {out}: expected a name ending in .json."
        raise InputError(message)
    if not out.absolute().parent.is_dir():
        message = f"--out {out}: the folder {out.parent} does not exist; make it first."
        raise InputError(message)
    if out.exists() and not (options.force and _is_manifest(out)):
        advice = "give --force to replace it" if _is_manifest(out) else "choose another name"
        message = f"--out {out}: is there already; {advice}."
        raise InputError(message)


def _is_manifest(path: Path) -> bool:
    """Tell a manifest, which may be replaced, from another file, such as a dataset.json."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MANIFEST_BEGINS)) == _MANIFEST_BEGINS
