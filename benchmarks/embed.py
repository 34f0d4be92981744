"""How busy a batch run keeps the encoder: what reading, hashing and writing add to it.

``python benchmarks/embed.py FOLDER [--slices 322] [--vit-b] [--quantise int8]`` prepares a folder
of images and labels, embeds up to so many slices, and prints the share of the time in which the
encoder was at work. ViT-B has seeded random weights, of which its speed does not depend.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from random_vit_b import save_vit_b

from napari_samri.datasets import Manifest, prepare, write_manifest
from napari_samri.jobs.events import Finished, Problem
from napari_samri.work import EmbedConfig, embed_bank


def first_slices(manifest: Manifest, count: int) -> Manifest:
    studies = []
    for study in manifest.studies:
        kept = study.slices[: max(0, count)]
        count -= len(kept)
        studies.append(replace(study, slices=kept))
    return replace(manifest, studies=tuple(studies))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--slices", type=int, default=1000)
    parser.add_argument("--vit-b", action="store_true")
    parser.add_argument("--quantise", default="float16")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = prepare([options.data])
        write_manifest(folder / "manifest.json", first_slices(manifest, options.slices))
        config = EmbedConfig(
            manifest=folder / "manifest.json",
            out=folder / "bank.zarr",
            model=str(save_vit_b(folder)) if options.vit_b else "starter",
            device="cpu",
            quantisation=options.quantise,
        )
        for event in embed_bank(config):
            if isinstance(event, Problem):
                print(event.text)
            elif isinstance(event, Finished):
                seconds, busy = event.details["seconds"], event.details["encoding_seconds"]
                count = event.details["slices"]
                print(
                    f"{count} slices in {seconds:.1f} s, {1000 * seconds / count:.0f} ms each; "
                    f"encoder busy {100 * busy / seconds:.1f} % of the time"
                )


if __name__ == "__main__":
    main()
