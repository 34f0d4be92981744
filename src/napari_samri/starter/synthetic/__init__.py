"""Made-up MRI slices with labels and prompts: all that the starter model is trained on."""

from napari_samri.starter.synthetic.images import render
from napari_samri.starter.synthetic.labels import label_map
from napari_samri.starter.synthetic.targets import sample_targets

__all__ = ["label_map", "render", "sample_targets"]
