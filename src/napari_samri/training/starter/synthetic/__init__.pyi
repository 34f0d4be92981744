from .images import render as render
from .labels import label_map as label_map
from .targets import sample_targets as sample_targets
