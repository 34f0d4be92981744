"""Where voxels are: volumes, planes, frames of model inputs, and intensities. NumPy only."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
