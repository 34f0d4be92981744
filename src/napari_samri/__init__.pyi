from ._qt import start_session
from ._version import __version__
from .datasets import prepare
from .embeddings import Embedding, EmbeddingCache
from .embeddings.bank import Bank
from .geometry import Plane, Volume
from .io import load_volume, save_labels
from .models import known_models, register_model, unreadable_models
from .segment import Candidates, Predictor, load_predictor

__all__ = [
    "Bank",
    "Candidates",
    "Embedding",
    "EmbeddingCache",
    "Plane",
    "Predictor",
    "Volume",
    "__version__",
    "known_models",
    "load_predictor",
    "load_volume",
    "prepare",
    "register_model",
    "save_labels",
    "start_session",
    "unreadable_models",
]
