"""What a run makes of a few slices, for people to look at while it trains."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.atomic import replacing
from napari_samri.training.pairs import label_and_piece

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_samri.training.plan import Group
    from napari_samri.training.run import Run

PREVIEW = "preview.npz"
MOST_SLICES = 6
_MOST_BYTES = 64 << 20  # unpacked: six slices of 1024 x 1024, three times, and room
# What numpy and zipfile raise for damaged archives, and for ones of a kind that they lack.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
_MIDDLE = 0.5


@dataclass(frozen=True, eq=False)
class ValidationSlices:
    """A few slices in the low-resolution frame.

    Parameters
    ----------
    epoch : int
    rows : int array (N,)
        Of the bank.
    thumb : uint8 array (N, L, L)
    truth, prediction : uint16 array (N, L, L)
        Labels as they were drawn, and as the decoder answers their boxes.
    """

    epoch: int
    rows: NDArray[np.int64]
    thumb: NDArray[np.uint8]
    truth: NDArray[np.uint16]
    prediction: NDArray[np.uint16]


def read_preview(out: Path) -> ValidationSlices | None:
    """Return the newest preview of a run, or None if there is none that can be read."""
    try:
        with (out / PREVIEW).open("rb") as stream:
            with zipfile.ZipFile(stream) as archive:
                unpacked = sum(info.file_size for info in archive.infolist())
            if unpacked > _MOST_BYTES:
                return None
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                preview = ValidationSlices(
                    epoch=int(file["epoch"]),
                    rows=file["rows"],
                    thumb=file["thumb"],
                    truth=file["truth"],
                    prediction=file["prediction"],
                )
    except _UNREADABLE:
        return None
    return preview if _is_whole(preview) else None


def _is_whole(preview: ValidationSlices) -> bool:
    """Tell whether there are whole numbers, of as many slices as rows, each of one size."""
    pictures = (preview.thumb, preview.truth, preview.prediction)
    shape = preview.truth.shape
    return (
        all(array.dtype.kind in "iu" for array in (preview.rows, *pictures))
        and len(shape) == 3
        and preview.rows.shape == shape[:1]
        and all(array.shape == shape for array in pictures)
    )


def save_preview(run: Run) -> None:
    """Write what the decoder of a run makes of a few slices now: of validation, if there is any.

    Nothing is written if a stop is requested meanwhile.

    Raises
    ------
    StoreError
        If the disk refuses; the preview before is still there.
    """
    chosen = _chosen(run)
    pictures = []
    for row, labels in chosen.items():
        if run.cancel():
            return
        pictures.append(run.with_room(partial(_answered, run, row, labels)))
    truth, prediction = (np.stack(each) for each in zip(*pictures, strict=True))
    arrays: dict[str, Any] = {
        "epoch": np.int64(run.state.epoch),
        "rows": np.array(list(chosen), np.int64),
        "thumb": np.stack([run.bank.thumb(row) for row in chosen]),
        "truth": truth,
        "prediction": prediction,
    }
    with replacing(run.config.out / PREVIEW) as temporary:
        np.savez_compressed(temporary, **arrays)


def _chosen(run: Run) -> dict[int, tuple[int, ...]]:
    """Return labels by row, of rows that are evenly spread over the validation masks."""
    groups = next((each.groups for each in run.validation.values() if each.groups), None)
    found: dict[int, tuple[int, ...]] = {}
    if groups is None:
        for row, label in zip(run.plan.row, run.plan.label, strict=True):
            found[int(row)] = (*found.get(int(row), ()), int(label))
    else:
        for group in groups:
            found[group.row] = (*found.get(group.row, ()), *group.labels)
    found = {row: tuple(dict.fromkeys(map(_label_of, own))) for row, own in found.items()}
    rows = sorted(found)
    places = np.linspace(0, len(rows) - 1, min(MOST_SLICES, len(rows))).round().astype(int)
    return {rows[place]: found[rows[place]] for place in places}


def _label_of(number: int) -> int:
    """Return the label of an object: a preview shows labels whole."""
    return label_and_piece(number)[0]


def _answered(
    run: Run, row: int, labels: tuple[int, ...]
) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Return what was drawn on a row, and what the decoder answers to its boxes."""
    from napari_samri.training.plan import Group, micro_batches

    whole = Group(row, labels, tuple(range(len(labels))))
    drawn = np.asarray(run.bank.labels(row)).astype(np.uint16)
    truth = np.where(np.isin(drawn, labels), drawn, 0).astype(np.uint16)
    prediction = np.zeros_like(truth)
    pieces = micro_batches([whole], run.micro_batch)
    answered = [answer for (part,) in pieces for answer in _masks_of(run, part)]
    # Small ones last: what lies within another object shall be seen.
    for label, mask in sorted(answered, key=lambda each: -int(each[1].sum())):
        prediction[mask] = label
    return truth, prediction


def _masks_of(run: Run, group: Group) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return labels of a group, and the masks that the decoder answers to their boxes."""
    from napari_samri.training.step import numbers_needed
    from napari_samri.training.validate import plain_answers

    read = run.source.read([group])
    places = read[-1]
    numbers = np.full((max(group.samples) + 1, numbers_needed(0)), _MIDDLE, np.float32)
    samples = run.source.to_samples(read, numbers)
    if samples is None:
        return []
    (masks,) = plain_answers(run.model.network, samples, run.config.objective)
    label_of = dict(zip(group.samples, group.labels, strict=True))
    answers = zip(places, masks.cpu().numpy(), strict=True)
    return [(label_of[place], mask) for place, mask in answers]
