"""Prompts made from masks, as a person would draw them; all chance comes in as numbers."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
