"""From prompts to masks: the predictor, its answers, and labels of whole volumes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
