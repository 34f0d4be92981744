"""Files and folders that appear whole or not at all."""

from napari_samri.atomic.files import make_folder, replacing
from napari_samri.atomic.leftovers import own_folder, remove_all_leftovers

__all__ = ["make_folder", "own_folder", "remove_all_leftovers", "replacing"]
