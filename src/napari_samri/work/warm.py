"""The interactive cache filled beforehand: every slice of a volume, for the Segment widget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_samri.embeddings import user_cache
from napari_samri.errors import Cancelled, InputError
from napari_samri.geometry import Plane, percentile_window
from napari_samri.io import load_volume
from napari_samri.jobs import Event, Finished, Noted, Problem, Started, Stopped, never
from napari_samri.segment import load_predictor
from napari_samri.work.begin import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_samri.jobs import Cancel


def warm_cache(
    image: Path,
    *,
    axis: int = 0,
    time: int | None = None,
    model: str = "starter",
    family: str | None = None,
    device: str = "auto",
    cancel: Cancel = never,
) -> Iterator[Event]:
    """Embed all slices of a volume across a display axis into the cache that viewers share.

    Slices that a bank of this user has are left there, where viewers find them too.

    Yields
    ------
    Event
        As `embed_bank`; slices of one grey value are no problem, only left out.

    Raises
    ------
    InputError, ModelError
        If the image or the model cannot be used.
    """
    volume = load_volume(image)
    planes = [Plane(axis, index, time) for index in range(volume.spatial_shape[axis])]
    planes[0].check(volume)
    yield Noted(text=f"loading the encoder of {model}")
    predictor = load_predictor(model, device, user_cache(memory_bytes=0), family=family)
    # As the viewer takes it: from all time points, so that its keys are the same.
    window = percentile_window(volume.array) if predictor.needs_window else None
    clock = Clock(total=len(planes), done=0)
    yield Started(what="slices", total=clock.total)

    def checkpoint(_: float) -> None:
        if cancel():
            raise Cancelled

    left_out = 0
    for plane in planes:
        try:
            checkpoint(0)
            predictor.embed(plane.extract(volume), window=window, checkpoint=checkpoint)
        except Cancelled:
            yield Stopped(text=f"stopped after {clock.done} of {clock.total} slices")
            return
        except InputError:
            left_out += 1
        yield clock.advance(1)
    if left_out == len(planes):
        yield Problem(text=f"{image}: none of its slices can be embedded")
    yield Finished(text=f"{image}: {len(planes) - left_out} slices are in the cache")
