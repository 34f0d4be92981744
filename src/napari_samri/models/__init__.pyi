from .architecture import find_architecture, register_architecture, unregister_architecture
from .card import DECODER_PREFIX
from .changes import models_changed
from .checkpoint import read_checkpoint
from .decoder_file import DecoderCard, write_decoder
from .device import resolve_device
from .download import ProgressCallback, fetch, local_path, models_dir
from .export import check_export_path, export_checkpoint
from .files import check_digest
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
from .products import fast_products
from .registry import find_model, known_models, needed_model, register_model
from .spec import BEST, Download, ModelSpec
from .tuned import card_of
from .tuned_folder import add_tuned, remove_tuned, unreadable_models

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
