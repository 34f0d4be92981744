from .network import TINY_VITS

__all__ = ["TINY_VITS"]
