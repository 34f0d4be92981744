"""Fine-tuning of the mask decoder on cached embeddings.

Names are loaded when they are first used: a window that only asks for a run needs no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
