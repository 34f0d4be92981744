"""Image embeddings: computed once, kept by content, shared by all models with one encoder."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
