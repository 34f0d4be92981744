from .cache import EmbeddingCache, cache_dir, default_cache, user_cache
from .compute import Checkpoint, encode, encode_input
from .disk import DiskCache
from .features import Embedding, Features, Store
from .key import embedding_key, encoder_identity

__all__ = [
    "Checkpoint",
    "DiskCache",
    "Embedding",
    "EmbeddingCache",
    "Features",
    "Store",
    "cache_dir",
    "default_cache",
    "embedding_key",
    "encode",
    "encode_input",
    "encoder_identity",
    "user_cache",
]
