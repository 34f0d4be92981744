"""Sound documents of every kind that the package writes, and seeded ways to damage them."""

from __future__ import annotations

import json
import os
import struct
import warnings
import zlib
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import InputWarning, SamriError
from napari_samri.geometry import Grid, Orientation, Plane, Volume
from napari_samri.prompts import Box, MaskRegion, Point, PromptSet, Stroke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from random import Random

_FRAME = struct.Struct("<4sIQI")
FOLDERS = ("CACHE", "MODELS", "STATE", "CONFIG")

# What stands in a document in place of a value: JSON, or something that is none.
VALUES = (
    *("null", "true", "false", "0", "-1", "0.5", '""', '"x"', "[]", "{}", "[[]]", '{"a": 1}'),
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e308", "1e-320", "-0"),
    *("9" * 400, "1" + "0" * 30, str(2**53 + 1), str(2**63), str(2**64), str(-(2**63)), "9" * 5000),
    *("[1000000, 1000000]", "[100000, 100000, 10000]", "[-1]", "[null]", '"1e999"', '"../../x"'),
    *(r'"\ud800"', r'"\u0000"', r'"a\nb"', '"' + "x" * 200_000 + '"', '"<f8"', '"O"', "[0, 1e999]"),
    *("[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000, "[" * 100_000),
    *("nul", "'a'", "1.", "+1", "0x10", "\x00", ""),
)


@dataclass(frozen=True)
class Reader:
    """A reader of the package, and a document that it reads.

    Parameters
    ----------
    make : callable
        Writes a sound document in a folder, the way the package does, and returns its path.
    read : callable
        Reads the document of that path.
    form : str
        Where JSON is in the file: it is one document (``json``), one a line (``lines``), in
        frames (``frames``), in the header of tensors (``tensors``), or nowhere (``bytes``).
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    form: str = "json"


# Damage


def damaged(content: bytes, form: str, rng: Random) -> bytes:
    """Return a document with one to three faults; the same for the same state of `rng`."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if form == "bytes" or rng.random() < 0.3:
            content = _damaged_bytes(content, rng)
        else:
            content = _FORMS[form](content, rng)
    return content


def _damaged_bytes(content: bytes, rng: Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    match rng.randrange(9):
        case 0:
            return content[:place]
        case 1:
            return content[place:]
        case 2:
            return content[:place] + rng.randbytes(rng.choice((1, 8, 300))) + content[place:]
        case 3:
            return b"\xef\xbb\xbf" + content
        case 4:
            return b"\xff\xfe" + content
        case 5:
            return content + content
        case 6:
            return content[:place] + b"\xff\xc0\x80" + content[place + 3 :]
        case 7:
            return rng.choice(
                (b"", b"\0" * 1000, rng.randbytes(500), b"[" * 100_000, b"PK\x03\x04")
            )
    flipped = bytearray(content)
    for _ in range(rng.choice((1, 1, 4)) if content else 0):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def _damaged_json(content: bytes, rng: Random) -> bytes:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return _damaged_bytes(content, rng)
    places = list(_places(value))
    if not places:
        return rng.choice(VALUES).encode()
    holder, key = rng.choice(places)
    mark = f"@{rng.randrange(10**9)}@"
    fault = rng.randrange(6)
    if fault == 0 and isinstance(holder, dict):
        del holder[key]
    elif fault == 1 and isinstance(holder, dict):
        holder["unknown"] = mark
    elif fault == 2 and isinstance(holder, list):
        holder += [holder[key]] * rng.choice((1, 1000))
    elif fault == 3 and isinstance(holder, dict):
        holder[mark] = holder[key]
        twice = json.dumps(value).replace(json.dumps(mark), json.dumps(key))
        return twice.encode()
    else:
        holder[key] = mark
    return json.dumps(value).replace(json.dumps(mark), rng.choice(VALUES)).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where values stand in a JSON value: lists and objects with an index or a name."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, (dict, list)):
            keys = list(holder) if isinstance(holder, dict) else range(len(holder))
            for key in keys:
                yield holder, key
                waiting.append(holder[key])


def _damaged_line(content: bytes, rng: Random) -> bytes:
    lines = content.split(b"\n")
    place = rng.randrange(len(lines))
    lines[place] = _damaged_json(lines[place], rng)
    return b"\n".join(lines)


def _damaged_frame(content: bytes, rng: Random) -> bytes:
    """Damage the JSON of a frame, and let length and checksum fit."""
    frames, at = [], 0
    while at + _FRAME.size <= len(content):
        magic, head_bytes, body_bytes, _ = _FRAME.unpack_from(content, at)
        end = at + _FRAME.size + head_bytes + body_bytes
        if magic != b"SMRI" or end > len(content):
            break
        frames.append((content[at + _FRAME.size : end], head_bytes))
        at = end
    if not frames:
        return _damaged_bytes(content, rng)
    place = rng.randrange(len(frames))
    whole, head_bytes = frames[place]
    head = _damaged_json(whole[:head_bytes], rng)
    frames[place] = (head + whole[head_bytes:], len(head))
    return b"".join(
        _FRAME.pack(b"SMRI", size, len(whole) - size, zlib.crc32(whole)) + whole
        for whole, size in frames
    )


def _damaged_header(content: bytes, rng: Random) -> bytes:
    """Damage the header of a file of tensors, or a document that is a text in it."""
    size = int.from_bytes(content[:8], "little")
    head = content[8 : 8 + size]
    try:
        header = json.loads(head)
        texts = [name for name, text in header["__metadata__"].items() if text.startswith("{")]
        if texts and rng.random() < 0.8:
            name = rng.choice(texts)
            inner = _damaged_json(header["__metadata__"][name].encode(), rng)
            header["__metadata__"][name] = inner.decode("utf-8", "replace")
            new = json.dumps(header).encode()
        else:
            new = _damaged_json(head, rng)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _damaged_bytes(content, rng)
    return len(new).to_bytes(8, "little") + new + content[8 + size :]


_FORMS = {
    "json": _damaged_json,
    "lines": _damaged_line,
    "frames": _damaged_frame,
    "tensors": _damaged_header,
}


# Sound documents


PLANE = Plane(0, 1)
PROMPTS = PromptSet(
    boxes=(Box(1, 1, 3, 4),),
    points=(Point(2, 2), Point(0, 1, positive=False)),
    strokes=(Stroke(((1.0, 1.0), (2.0, 2.5))),),
)


def _volume() -> Volume:
    array = np.arange(5 * 6 * 7, dtype=np.float32).reshape(5, 6, 7)
    return Volume(array, Grid((5, 6, 7), np.eye(4)), Orientation())


def _document() -> Any:
    from napari_samri.session.history import Commit, Document, Reopened
    from napari_samri.session.labels import LabelTable

    commit = Commit(PLANE, 1, 12, PROMPTS, "starter", "e" * 64, 0.9, ("fill",), "2026-01-01")
    mask = MaskRegion.from_array(np.ones((6, 7)))
    table = LabelTable.fresh().add("liver", 4)
    return Document({PLANE: PROMPTS}, {PLANE: Reopened(1, mask)}, table, (commit,))


def _make_prompts(folder: Path) -> Path:
    entries = [
        {"label": 1, "axis": 2, "index": 90, "boxes": [[60, 80, 120, 150]]},
        {"label": 2, "axis": 2, "index": 90, "time": 0, "points": [[85, 100, 1], [40, 41, 0]]},
    ]
    content = {"format": "napari-samri-prompts", "version": 1, "prompts": entries}
    (folder / "prompts.json").write_text(json.dumps(content), encoding="utf-8")
    return folder / "prompts.json"


def _make_settings(folder: Path) -> Path:
    from napari_samri.session.settings import Settings, settings_path, write_settings

    write_settings(Settings(model="sam-vit-b"))
    return settings_path()


def _make_sidecar(folder: Path) -> Path:
    from napari_samri.io.sidecar import sidecar_path, writing_sidecar
    from napari_samri.session.saving import _content

    with writing_sidecar(folder / "labels.nii", _content(_document())):
        pass
    return sidecar_path(folder / "labels.nii")


def _make_journal(folder: Path) -> Path:
    from napari_samri.session.journal import Journal
    from napari_samri.session.labels import Edit

    volume = _volume()
    journal = Journal(volume, np.ones((5, 6, 7), np.uint16), lambda error: None)
    where = np.array([5, 60, 209])
    journal.write(_document(), Edit(where, np.ones(3, np.uint16), np.full(3, 4, np.uint16)))
    journal.write(_document(), None)
    journal.close(keep=True)
    return journal.path


def _read_journal(path: Path) -> object:
    from napari_samri.session.recovery import sweep_journals

    return sweep_journals(_volume())


def _make_frames(folder: Path) -> Path:
    from napari_samri.jobs.wire import Message, encode_message

    arrays = {"mask": np.ones((3, 4), bool), "scores": np.arange(3, dtype=np.float32)}
    messages = (Message({"kind": "Answer", "number": 3}, arrays), Message({"kind": "Ended"}))
    (folder / "frames").write_bytes(b"".join(map(encode_message, messages)))
    return folder / "frames"


def _read_frames(path: Path) -> object:
    from napari_samri.jobs.wire import read_message

    with path.open("rb") as stream:
        return list(iter(lambda: read_message(stream), None))


def _jobs() -> list[Any]:
    from napari_samri.jobs.detached import Job, jobs_dir

    made = []
    for name in ("sound", "other"):
        folder = jobs_dir() / name
        folder.mkdir(parents=True, exist_ok=True)
        made.append(Job(folder, name, 5.0, {"kind": "embed"}, {"run": "a"}))
    return made


def _make_job(folder: Path) -> Path:
    from napari_samri.jobs.detached import _write
    from napari_samri.jobs.job_folder import JOB

    made = _jobs()
    for job in made:
        _write(job)
    return made[1].folder / JOB


def _read_jobs(path: Path) -> object:
    from napari_samri.jobs.detached import list_jobs

    found = list_jobs()
    if not any(getattr(job, "title", "") == "sound" for job in found):
        message = "the sound job is not listed"
        raise AssertionError(message)
    return found


def _make_events(folder: Path) -> Path:
    from napari_samri.jobs.events import Finished, Measured, Noted, event_to_line
    from napari_samri.jobs.job_folder import EVENTS

    events = (Noted(text="begun"), Measured(at=1, values={"loss": 0.5}), Finished(text="done"))
    path = _jobs()[1].folder / EVENTS
    path.write_text("".join(map(event_to_line, events)), encoding="utf-8")
    return path


def _read_events(path: Path) -> object:

    return list(_jobs()[1].events())


def _make_curves(folder: Path) -> Path:
    from napari_samri.jobs.events import Measured
    from napari_samri.training.curves import CURVES, add_point

    for epoch in (1, 2, 3):
        add_point(folder, Measured(at=epoch, values={"loss": 0.5, "dice": 0.8}))
    return folder / CURVES


def _read_curves(path: Path) -> object:
    from matplotlib.figure import Figure

    from napari_samri.training.curves import draw_curves, read_curves

    points = read_curves(path.parent)
    draw_curves(Figure(), points)
    return points


def _optimiser() -> Any:
    import torch

    decoder = torch.nn.Linear(3, 2)
    parameters = dict(decoder.named_parameters())
    adam = torch.optim.Adam(parameters.values())
    decoder(torch.ones(1, 3)).sum().backward()
    adam.step()
    return SimpleNamespace(
        network=SimpleNamespace(trainable=decoder), parameters=parameters, adam=adam
    )


def _make_state(folder: Path) -> Path:
    from napari_samri.training.state import FILE, RunState, save_state

    save_state(folder / FILE, RunState(3, 2, 0.5, {"validation": 0.8}, 2, 2), _optimiser(), "{}")
    return folder / FILE


def _read_state(path: Path) -> object:
    from napari_samri.training.state import load_state

    return load_state(path, _optimiser(), "{}")


def _make_decoder(folder: Path) -> Path:
    import torch

    from tests.tuning import make_decoder

    tensors = {"mask_decoder.iou_token.weight": torch.zeros(1, 4)}
    folder = folder / "models" / "tuned"
    make_decoder(folder / "sound.safetensors", tensors)
    return make_decoder(folder / "other.safetensors", tensors)


def _read_card(path: Path) -> object:
    from napari_samri.models.card import read_decoder_card

    return read_decoder_card(path)


def _read_models(path: Path) -> object:
    from napari_samri import known_models

    found = known_models()
    if not {"starter", "tuned/sound"} <= set(found):
        message = f"the list of models lacks sound ones: {sorted(found)}"
        raise AssertionError(message)
    return found


def _make_starter(folder: Path) -> Path:
    from napari_samri.models.starter.network import StarterConfig, StarterNetwork
    from napari_samri.models.starter.weights import save_starter

    small = (8, 8, 8, 8)
    config = StarterConfig(
        widths=small, depths=(1, 1, 1, 1), embedding_channels=16, mlp_width=16, heads=2
    )
    path = folder / "starter.safetensors"
    save_starter(path, config, StarterNetwork(config).state_dict())
    return path


def _read_starter(path: Path) -> object:
    from napari_samri.models.checkpoint import read_checkpoint
    from napari_samri.models.starter.weights import build_starter

    return build_starter(read_checkpoint(path))


def _make_manifest(folder: Path) -> Path:
    from napari_samri.datasets.manifest_file import write_manifest
    from tests.embeddings.bank.made_up import manifest

    write_manifest(folder / "m.json", manifest(3))
    return folder / "m.json"


def _read_manifest(path: Path) -> object:
    from napari_samri.datasets.manifest_file import read_manifest

    return read_manifest(path)


def _make_names(folder: Path) -> Path:
    content = {"labels": {"background": 0, "liver": 1, "spleen": 2}, "channel_names": {"0": "T1"}}
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "a.nii.gz").touch()
    return folder / "dataset.json"


def _read_names(path: Path) -> object:
    from napari_samri.datasets.layouts.nnunet import NnUNetLayout

    return NnUNetLayout().find(path.parent)


def _make_bank(folder: Path) -> Path:
    from napari_samri.embeddings.bank import create_bank
    from tests.embeddings.bank.made_up import HEADER

    create_bank(folder / "bank.zarr", HEADER)
    return folder / "bank.zarr" / "zarr.json"


def _read_bank(path: Path) -> object:
    from napari_samri.embeddings.bank.header import read_header

    return read_header(path.parent)


def _make_seal(folder: Path) -> Path:
    from napari_samri.embeddings.bank.part import SEAL

    (folder / SEAL).write_text('{"rows":40,"missing":[3,4]}\n', encoding="utf-8")
    return folder / SEAL


def _read_seal(path: Path) -> object:
    from napari_samri.embeddings.bank import PartPlan
    from napari_samri.embeddings.bank.part import Part
    from tests.embeddings.bank.made_up import HEADER, manifest

    return Part(path.parent, PartPlan(HEADER, manifest(40))).missing_rows()


def _make_pin(folder: Path) -> Path:
    from napari_samri.models.files import _check_existing

    (folder / "x.pth").write_bytes(b"made up")
    _check_existing(folder / "x.pth", SimpleNamespace(digest=None))  # type: ignore[arg-type]
    return folder / "x.pth.sha256"


def _read_pin(path: Path) -> object:
    from napari_samri.models.files import _check_existing

    return _check_existing(path.with_suffix(""), SimpleNamespace(digest=None))  # type: ignore


def _make_embedding(folder: Path) -> Path:
    from napari_samri.embeddings.disk import DiskCache

    cache = DiskCache(folder, 1 << 20)
    cache.put("ab12", {"image": np.ones((3, 4, 4), np.float32)})
    return cache.path("ab12")


def _read_embedding(path: Path) -> object:
    from napari_samri.embeddings.disk import DiskCache

    return DiskCache(path.parents[1], 1 << 20).get("ab12")


def _make_preview(folder: Path) -> Path:
    from napari_samri.training.preview import PREVIEW

    picture = np.zeros((2, 8, 8))
    arrays = {"rows": np.arange(2), "thumb": picture.astype(np.uint8)}
    labels = {"truth": picture.astype(np.uint16), "prediction": picture.astype(np.uint16)}
    with (folder / PREVIEW).open("wb") as file:
        np.savez_compressed(file, epoch=3, **arrays, **labels)  # type: ignore[arg-type]
    return folder / PREVIEW


def _read_preview(path: Path) -> object:
    from napari_samri.training.preview import read_preview

    return read_preview(path.parent)


def _read_requests(path: Path) -> object:
    from napari_samri.prompts import read_requests

    return read_requests(path)


def _read_settings(path: Path) -> object:
    from napari_samri.session.settings import read_settings

    return read_settings()


def _read_saved(path: Path) -> object:
    from napari_samri.session.saving import read_saved

    return read_saved(path.with_name("labels.nii"))


READERS = {
    "prompts": Reader(_make_prompts, _read_requests),
    "settings": Reader(_make_settings, _read_settings),
    "record beside labels": Reader(_make_sidecar, _read_saved),
    "journal": Reader(_make_journal, _read_journal, "frames"),
    "messages": Reader(_make_frames, _read_frames, "frames"),
    "jobs": Reader(_make_job, _read_jobs),
    "events": Reader(_make_events, _read_events, "lines"),
    "curves": Reader(_make_curves, _read_curves, "lines"),
    "state of a run": Reader(_make_state, _read_state, "tensors"),
    "preview": Reader(_make_preview, _read_preview, "bytes"),
    "card": Reader(_make_decoder, _read_card, "tensors"),
    "list of models": Reader(_make_decoder, _read_models, "tensors"),
    "starter": Reader(_make_starter, _read_starter, "tensors"),
    "manifest": Reader(_make_manifest, _read_manifest),
    "dataset.json": Reader(_make_names, _read_names),
    "bank": Reader(_make_bank, _read_bank),
    "seal of a part": Reader(_make_seal, _read_seal),
    "pin": Reader(_make_pin, _read_pin, "bytes"),
    "embedding": Reader(_make_embedding, _read_embedding, "tensors"),
}


# Reading


@dataclass
class Outcome:
    """What became of damaged documents of one kind."""

    counts: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)


@contextmanager
def own_folders(folder: Path) -> Iterator[None]:
    """Keep what the package writes for its user in a folder."""
    names = [f"NAPARI_SAMRI_{name}" for name in FOLDERS]
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(folder / name[13:].lower()) for name in names})
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def try_one(reader: Reader, path: Path, content: bytes, outcome: Outcome) -> None:
    """Let a document be read, and count what happens."""
    path.write_bytes(content)
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            reader.read(path)
    except SamriError:
        outcome.counts["refused"] += 1
    except (Exception, RecursionError, MemoryError) as error:  # noqa: BLE001  # to be counted
        outcome.counts["crash"] += 1
        outcome.crashes.append(f"{type(error).__name__}: {str(error)[:150]}")
    else:
        listed = any(issubclass(each.category, InputWarning) for each in told)
        outcome.counts["told" if listed else "read"] += 1
