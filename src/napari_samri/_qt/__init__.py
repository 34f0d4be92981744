"""Panels and windows: the only place that imports Qt. A view shows and emits; no more."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
