"""Panels and windows: the only place that imports Qt. A view shows and emits; no more."""
