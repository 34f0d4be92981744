"""Only `codec` reads JSON: whoever else does needs a list of what damaged files can raise."""

from __future__ import annotations

import re
from pathlib import Path

import napari_samri

ROOT = Path(napari_samri.__file__).parent
READS = re.compile(r"\bjson\.loads?\(|\bJSONDecoder\b|from json import|\.read_json\(")
# Texts that this process has just written itself.
OWN_TEXTS = {"training/loop.py": 1, "training/state.py": 1}


def test_only_the_codec_reads_json() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): len(READS.findall(path.read_text(encoding="utf-8")))
        for path in ROOT.rglob("*.py")
        if not path.is_relative_to(ROOT / "codec")
    }
    assert {name: count for name, count in found.items() if count} == OWN_TEXTS
