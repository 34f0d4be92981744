from .architecture import find_architecture, register_architecture, unregister_architecture
from .card import DECODER_PREFIX, DecoderCard
from .catalogue import BEST, Download, ModelSpec
from .checkpoint import read_checkpoint
from .device import fast_products, resolve_device
from .export import check_export_path, export_checkpoint
from .files import ProgressCallback, check_digest, fetch, local_path, models_dir
from .loading import load_model
from .model import LoadedModel
from .network import (
    CORNER_HIGH,
    CORNER_LOW,
    PADDING,
    POSITIVE,
    Architecture,
    Choose,
    Features,
    Layout,
    Network,
    PromptBatch,
    Watch,
    best_where,
    choose_candidates,
    fill,
)
from .preprocessing import (
    PIXEL_MEAN,
    PIXEL_STD,
    Preprocessing,
    find_preprocessing,
    known_preprocessings,
    register_preprocessing,
    unregister_preprocessing,
)
from .registry import (
    add_tuned,
    find_model,
    known_models,
    models_changed,
    needed_model,
    register_model,
    remove_tuned,
    unreadable_models,
)
from .tuned import card_of, write_decoder

__all__ = [
    "BEST",
    "CORNER_HIGH",
    "CORNER_LOW",
    "DECODER_PREFIX",
    "PADDING",
    "PIXEL_MEAN",
    "PIXEL_STD",
    "POSITIVE",
    "Architecture",
    "Choose",
    "DecoderCard",
    "Download",
    "Features",
    "Layout",
    "LoadedModel",
    "ModelSpec",
    "Network",
    "Preprocessing",
    "ProgressCallback",
    "PromptBatch",
    "Watch",
    "add_tuned",
    "best_where",
    "card_of",
    "check_digest",
    "check_export_path",
    "choose_candidates",
    "export_checkpoint",
    "fast_products",
    "fetch",
    "fill",
    "find_architecture",
    "find_model",
    "find_preprocessing",
    "known_models",
    "known_preprocessings",
    "load_model",
    "local_path",
    "models_changed",
    "models_dir",
    "needed_model",
    "read_checkpoint",
    "register_architecture",
    "register_model",
    "register_preprocessing",
    "remove_tuned",
    "resolve_device",
    "unreadable_models",
    "unregister_architecture",
    "unregister_preprocessing",
    "write_decoder",
]
