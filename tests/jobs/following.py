"""All events of a job, as they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from napari_samri.jobs import POLL_SECONDS, JobWatch, never

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_samri.jobs import Cancel, Event, Job


def follow(job: Job, stop: Cancel = never) -> Iterator[Event | None]:
    """Yield the events from the first to the last, and None whenever there was nothing new."""
    watch = JobWatch(job)
    while not stop():
        yield from watch.look()
        if watch.ended:
            return
        yield None
        time.sleep(POLL_SECONDS)
