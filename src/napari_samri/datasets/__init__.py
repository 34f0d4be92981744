"""Data sets: folders of images and labels in, a manifest of slices to train on out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
