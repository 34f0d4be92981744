from .network import StarterConfig as StarterConfig
from .network import StarterNetwork as StarterNetwork
from .network import resize_network as resize_network
from .weights import STARTER_NETWORK as STARTER_NETWORK
from .weights import build_starter as build_starter
from .weights import check_packaged as check_packaged
from .weights import save_starter as save_starter
