from .network import TINY_VITS as TINY_VITS
