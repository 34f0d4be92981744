from .card import DECODER_PREFIX
from .changes import models_changed
from .checkpoint import read_checkpoint
from .decoder_file import DecoderCard, write_decoder
from .device import resolve_device
from .download import ProgressCallback, fetch, local_path, models_dir
from .export import check_export_path, export_checkpoint
from .files import check_digest
from .loading import LoadedModel, load_model
from .preprocessing import Family
from .prior import box_prior
from .products import fast_products
from .registry import find_model, known_models, needed_model, register_model
from .spec import BEST, Download, ModelSpec
from .tuned import card_of
from .tuned_folder import add_tuned, remove_tuned, unreadable_models

__all__ = [
    "BEST",
    "DECODER_PREFIX",
    "DecoderCard",
    "Download",
    "Family",
    "LoadedModel",
    "ModelSpec",
    "ProgressCallback",
    "add_tuned",
    "box_prior",
    "card_of",
    "check_digest",
    "check_export_path",
    "export_checkpoint",
    "fast_products",
    "fetch",
    "find_model",
    "known_models",
    "load_model",
    "local_path",
    "models_changed",
    "models_dir",
    "needed_model",
    "read_checkpoint",
    "register_model",
    "remove_tuned",
    "resolve_device",
    "unreadable_models",
    "write_decoder",
]
