from .architecture import PIXEL_MEAN, PIXEL_STD, StarterConfig, StarterNetwork, resize_network
from .family import STARTER
from .weights import build_starter, check_packaged, save_starter

__all__ = [
    "PIXEL_MEAN",
    "PIXEL_STD",
    "STARTER",
    "StarterConfig",
    "StarterNetwork",
    "build_starter",
    "check_packaged",
    "resize_network",
    "save_starter",
]
