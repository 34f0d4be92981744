"""Which models there are, where their files come from, and how they run. Torch begins here."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
