"""``napari-samri bank``: look into embedding banks, check them, and make one of several."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.cli.console import show
from napari_samri.jobs import show_events

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

_EPILOG = "Exit codes: 0 done; 3 done, but something is damaged or was left out; 2 bad input."


def add_parser(verbs: Any) -> None:
    """Add this verb's options."""
    parser = verbs.add_parser(
        "bank", help="check, describe and merge embedding banks", epilog=_EPILOG
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verify = actions.add_parser("verify", help="find everything that is damaged")
    verify.add_argument("bank", type=Path)
    verify.add_argument("--quick", action="store_true", help="look at indices, not at all bytes")
    verify.add_argument(
        "--drop", action="store_true", help="take damaged shards away: 'embed' does them again"
    )
    verify.set_defaults(run=run_verify)
    info = actions.add_parser("info", help="say what is in a bank")
    info.add_argument("bank", type=Path)
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=run_info)
    merge = actions.add_parser("merge", help="make one bank of several with the same encoder")
    merge.add_argument("banks", type=Path, nargs="+", metavar="BANK")
    merge.add_argument("--out", type=Path, required=True, help="bank to make")
    merge.set_defaults(run=run_merge)


def run_verify(options: argparse.Namespace) -> int:
    """Check a bank; return 3 if something is damaged."""
    from napari_samri.embeddings.bank import verify_bank

    return show_events(verify_bank(options.bank, quick=options.quick, drop=options.drop))


def run_info(options: argparse.Namespace) -> None:
    """Print what is in a bank, as text or as JSON."""
    from napari_samri.embeddings.bank import bank_info

    info = bank_info(options.bank)
    text = json.dumps(info, indent=2) if options.json else "\n".join(_lines(info))
    show(text + "\n")


def run_merge(options: argparse.Namespace) -> int:
    """Merge banks; return 3 if a part was left out."""
    from napari_samri.embeddings.bank import merge_banks

    return show_events(merge_banks(options.banks, options.out))


def _lines(info: Mapping[str, Any]) -> Iterator[str]:
    header = info["header"]
    sizes = {name: " x ".join(map(str, shape)) for name, shape in info["features"].items()}
    named = [size if name == "image" else f"{name} {size}" for name, size in sizes.items()]
    yield f"encoder        {header['architecture']}, {header['encoder']}"
    yield f"preprocessing  {header['preprocessing']}"
    yield f"embeddings     {', '.join(named)}, {header['quantisation']}"
    yield f"rows           {info['rows']:,} with {info['pairs']:,} labels"
    if info["replaced"]:
        yield f"               {info['replaced']:,} more are replaced by later ones"
    per_row = f", {info['bytes'] / 1024 / info['rows']:,.0f} KiB a row" if info["rows"] else ""
    yield f"on the disk    {info['bytes'] / 1e6:,.1f} MB in {info['files']:,} files{per_row}"
    for dataset, splits in info["rows_by"].items():
        counts = ", ".join(f"{count:,} {split}" for split, count in splits.items())
        yield f"data set       {dataset}: {counts}"
    for part in info["parts"]:
        there, shards = part["shards"]
        state = "complete" if part["sealed"] else "NOT COMPLETE"
        missing = f", {part['missing']:,} rows missing" if part["missing"] else ""
        yield f"part           {part['name']}: {state}, {there} of {shards} shards{missing}"
