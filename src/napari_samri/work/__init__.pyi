from .cluster import embed_on_cluster
from .config import EmbedConfig
from .planning import changes_in
from .run import embed_bank
from .sbatch import sbatch_script
from .warm import warm_cache

__all__ = [
    "EmbedConfig",
    "changes_in",
    "embed_bank",
    "embed_on_cluster",
    "sbatch_script",
    "warm_cache",
]
