from .base import Case as Case
from .base import Findings as Findings
from .pairs import find_in_two_folders as find_in_two_folders
from .registry import LAYOUTS as LAYOUTS
from .registry import detect_layout as detect_layout
from .registry import layout_by_id as layout_by_id
