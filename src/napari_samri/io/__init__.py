"""Files in and out: volumes by a registry of readers, labels on exactly the source's grid."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
