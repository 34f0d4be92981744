"""Segment MRI by boxes and points in napari, in Python, and on the command line.

The names of ``__init__.pyi`` are loaded when they are first used: importing the package is quick
and loads neither torch nor Qt.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
