"""Made-up MRI slices with labels and prompts: all that the starter model is trained on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
