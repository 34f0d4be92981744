"""A batch run on the workers of a Dask cluster: one task per shard, each of them idempotent.

dask is imported here only, and only when it is used (``pip install napari-samri[cluster]``).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from napari_samri.datasets import read_manifest
from napari_samri.embeddings.bank import open_part, read_header
from napari_samri.errors import Cancelled, InputError
from napari_samri.jobs import Event, Finished, Problem, Stopped, never
from napari_samri.work.begin import begin_run
from napari_samri.work.encoder import load_encoder
from napari_samri.work.planning import Task
from napari_samri.work.rows import UnreadableStudy, roots_of
from napari_samri.work.shards import Work, embed_shards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_samri.jobs import Cancel
    from napari_samri.work.config import EmbedConfig

RETRIES = 3
_POLL_SECONDS = 0.5
_STOP_LOOK_SECONDS = 0.5


def embed_on_cluster(config: EmbedConfig, address: str, cancel: Cancel = never) -> Iterator[Event]:
    """Embed as `napari_samri.work.embed_bank` does, on a cluster's workers.

    Manifest, data and bank have to lie where all workers see them, under the same paths. A
    worker that dies loses the slice it was at; its shard is given to another one.

    Parameters
    ----------
    config : EmbedConfig
    address : str
        Of the scheduler, for instance ``tcp://host:8786``.
    cancel : callable

    Raises
    ------
    InputError, ModelError, StoreError
        If dask is missing, the scheduler cannot be reached, or as `embed_bank`.
    """
    run = yield from begin_run(config)
    clock = run.clock
    stop = config.out / f".stop-{uuid4().hex}"
    problems: dict[str, None] = {}
    try:
        with _client(address) as client:
            for task, texts in _done(client, config, run.pending, stop, cancel):
                problems.update(dict.fromkeys(texts))
                yield clock.advance(len(task.rows))
    except Cancelled:
        yield Stopped(text=f"stopped after {clock.done:,} of {clock.total:,} slices")
        return
    finally:
        stop.unlink(missing_ok=True)
    for text in problems:
        yield Problem(text=f"left out: {text}")
    text = f"{config.out}: {clock.total:,} slices embedded on {address}"
    yield Finished(text=text, details={"slices": clock.total, "complete": not run.seal()})


def embed_one_shard(
    config: EmbedConfig, part_path: Path, shard: int, stop: Path
) -> list[str] | None:
    """Do one shard, on a worker; return what was wrong with studies, None if it was stopped.

    Parameters
    ----------
    config : EmbedConfig
    part_path : pathlib.Path
    shard : int
    stop : pathlib.Path
        As soon as this file is there, the work stops.
    """
    part = open_part(part_path, read_header(config.out))
    if part.is_committed(shard):
        return []
    roots = roots_of(read_manifest(config.manifest), config.manifest)
    encoder = load_encoder(config.model, config.device, config.family)
    steps = embed_shards([Task(part, shard)], encoder, roots, _watch(stop), Work())
    try:
        found = [step for step in steps if isinstance(step, UnreadableStudy)]
    except Cancelled:
        return None
    return [f"{item.study.image}: {item.text}" for item in found]


def _done(
    client: Any, config: EmbedConfig, pending: list[Task], stop: Path, cancel: Cancel
) -> Iterator[tuple[Task, list[str]]]:
    """Yield tasks as they are done, with what was wrong with their studies."""
    futures = {
        client.submit(
            embed_one_shard, config, task.part.path, task.shard, stop, retries=RETRIES, pure=False
        ): task
        for task in pending
    }
    while futures:
        if cancel():
            stop.touch()
            client.cancel(list(futures))
            raise Cancelled
        ready = [future for future in futures if future.done()]
        for future in ready:
            texts = future.result()
            if texts is None:
                raise Cancelled
            yield futures.pop(future), texts
        if not ready:
            time.sleep(_POLL_SECONDS)


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        message = "dask is not installed; run: pip install napari-samri[cluster]"
        raise InputError(message) from error
    try:
        return Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        message = f"{address}: no Dask scheduler answers there ({error}); expected tcp://HOST:PORT."
        raise InputError(message) from error


def _watch(stop: Path) -> Cancel:
    """Return a cancel that looks for a file, but not at every call."""
    last = 0.0
    found = False

    def cancel() -> bool:
        nonlocal last, found
        now = time.monotonic()
        if not found and now - last > _STOP_LOOK_SECONDS:
            last, found = now, stop.exists()
        return found

    return cancel
