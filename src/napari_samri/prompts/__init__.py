"""Prompts: what a person says about an object, in pixels of a slice, and how it is written down."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
