"""Long work outside this process: messages, child processes. No torch, no Qt."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
