"""What napari gets from us and gives to us. This package may import napari, never Qt."""
