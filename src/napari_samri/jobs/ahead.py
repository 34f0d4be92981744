"""An iterator that is run ahead on a thread, so that its work hides behind the caller's."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

T = TypeVar("T")

_END: Any = object()


def run_ahead(items: Iterable[T], size: int) -> Generator[T, None, None]:
    """Yield the items of an iterable, up to `size` of which a thread takes beforehand.

    What the iterable raises comes out of here, in its turn. When this generator is closed, it
    waits for the item that the thread is at, and no further one is taken.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="samri-ahead") as pool:
        futures = deque(pool.submit(next, iterator, _END) for _ in range(size))
        try:
            while (item := futures.popleft().result()) is not _END:
                futures.append(pool.submit(next, iterator, _END))
                yield item
        finally:
            for future in futures:
                future.cancel()
