from .network import VITS as VITS
from .network import Sam1Network as Sam1Network
from .network import build_vit as build_vit
