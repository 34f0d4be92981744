"""What napari gets from us and gives to us. This package may import napari, never Qt."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
