from .images import render
from .labels import label_map
from .targets import sample_targets

__all__ = ["label_map", "render", "sample_targets"]
