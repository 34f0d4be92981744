"""Messages and progress on stderr."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write a line for the user."""
    sys.stderr.write(f"napari-samri: {text}\n")


class Progress:
    """A line on a terminal that is rewritten as work goes on; silent elsewhere."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def step(self, done: int, total: int, unit: str) -> None:
        """Show `done` of `total`, if there is more than one."""
        if self._shown and total > 1:
            self._rewrite(f"{done}/{total} {unit}", last=done == total)

    def download(self, done: int, total: int) -> None:
        """Show how much of a download has come, in megabytes."""
        if self._shown:
            whole = f" of {total / 1e6:.0f}" if total else ""
            self._rewrite(f"downloading: {done / 1e6:.0f}{whole} MB", last=done == total)

    @staticmethod
    def _rewrite(text: str, *, last: bool) -> None:
        sys.stderr.write(f"\r{text:40}" + ("\n" if last else ""))
        sys.stderr.flush()
