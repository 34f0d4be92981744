from .cache import EmbeddingCache, cache_dir, default_cache
from .compute import Checkpoint, encode, encode_input
from .disk import DiskCache
from .embedding import Embedding
from .key import embedding_key

__all__ = [
    "Checkpoint",
    "DiskCache",
    "Embedding",
    "EmbeddingCache",
    "cache_dir",
    "default_cache",
    "embedding_key",
    "encode",
    "encode_input",
]
