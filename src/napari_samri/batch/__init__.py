"""Batch embedding: a manifest in, a bank out, on one machine or many."""

from napari_samri.batch.config import EmbedConfig
from napari_samri.batch.run import embed_bank

__all__ = ["EmbedConfig", "embed_bank"]
