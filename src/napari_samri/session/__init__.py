"""The controller of one annotation session: no GUI, no torch.

An intent changes the state and, where a mask is needed, makes a frozen request; an answer
that comes late, to a request that is no longer the current one, is dropped.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
