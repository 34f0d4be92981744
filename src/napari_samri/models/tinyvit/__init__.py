"""MobileSAM and LiteMedSAM: their encoder, and how they are built from a checkpoint."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
