"""How good masks are: overlap with the truth, and the trivial answers that have to be beaten."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
