"""Layouts of data sets on disk: which image belongs to which labels, and to whom."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
