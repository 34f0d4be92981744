"""Layouts of data sets on disk: which image belongs to which labels, and to whom."""

from napari_samri.datasets.layouts.base import Case, Findings, Layout
from napari_samri.datasets.layouts.folders import find_in_two_folders
from napari_samri.datasets.layouts.registry import LAYOUTS, detect_layout, layout_by_id

__all__ = [
    "LAYOUTS",
    "Case",
    "Findings",
    "Layout",
    "detect_layout",
    "find_in_two_folders",
    "layout_by_id",
]
