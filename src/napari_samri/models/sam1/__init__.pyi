from .batched import decode_batch
from .vit import build_vit, fill

__all__ = ["build_vit", "decode_batch", "fill"]
