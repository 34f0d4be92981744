from .files import make_folder, replacing
from .leftovers import own_folder, remove_all_leftovers

__all__ = ["make_folder", "own_folder", "remove_all_leftovers", "replacing"]
