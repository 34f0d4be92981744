from .network import StarterConfig, StarterNetwork, resize_network
from .weights import STARTER_NETWORK, build_starter, check_packaged, save_starter

__all__ = [
    "STARTER_NETWORK",
    "StarterConfig",
    "StarterNetwork",
    "build_starter",
    "check_packaged",
    "resize_network",
    "save_starter",
]
