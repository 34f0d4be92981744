from .files import make_folder as make_folder
from .files import replacing as replacing
from .leftovers import own_folder as own_folder
from .leftovers import remove_all_leftovers as remove_all_leftovers
