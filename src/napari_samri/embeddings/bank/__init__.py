"""The embedding bank: embeddings of many slices in few files, for training.

A folder in the layout of zarr 3: a header that names encoder and preprocessing, and parts that
are written once and sealed. See `docs/concepts/bank.md`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
