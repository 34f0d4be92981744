"""Image embeddings: computed once, kept by content, shared by all models with one encoder."""

from napari_samri.embeddings.cache import EmbeddingCache, default_cache
from napari_samri.embeddings.embedding import Embedding
from napari_samri.embeddings.key import embedding_key

__all__ = ["Embedding", "EmbeddingCache", "default_cache", "embedding_key"]
