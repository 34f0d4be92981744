from .base import Case, Findings
from .pairs import find_in_two_folders
from .registry import LAYOUTS, detect_layout, layout_by_id

__all__ = [
    "LAYOUTS",
    "Case",
    "Findings",
    "detect_layout",
    "find_in_two_folders",
    "layout_by_id",
]
