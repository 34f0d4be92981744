"""Spans of time in words."""


def duration(seconds: float) -> str:
    """Return a span of time in words: only as exact as a guess can be."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.0f} h"
