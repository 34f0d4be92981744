"""Where readers and writers look for `napari_samri.atomic`."""

from napari_samri.atomic import make_folder, replacing

__all__ = ["make_folder", "replacing"]
