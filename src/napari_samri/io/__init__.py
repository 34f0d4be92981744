"""Files in and out: volumes by a registry of readers, labels on exactly the source's grid."""

from napari_samri.io.labels import save_labels
from napari_samri.io.registry import VolumeReader, load_volume, register_reader

__all__ = ["VolumeReader", "load_volume", "register_reader", "save_labels"]
