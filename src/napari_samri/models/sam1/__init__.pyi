from .network import VITS, Sam1Network, build_vit

__all__ = ["VITS", "Sam1Network", "build_vit"]
