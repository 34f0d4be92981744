from .background import Background
from .config import EmbedConfig
from .data import Data
from .embed import embed_bank
from .facts import (
    FEW_MASKS,
    Facts,
    facts_of_bank,
    facts_of_manifest,
    facts_of_volume,
    masks_to_learn,
    suggested_numbers,
)
from .main import main, run_task
from .places import (
    RUN_BANK,
    bank_path,
    existing_bank,
    existing_source,
    first_free,
    run_folder,
    slug,
    suggested_bank,
    suggested_of_image,
    suggested_run,
)
from .registry import TASKS, task_from_json, task_to_json
from .run import IMAGES, Status
from .slurm import sbatch_script
from .task import Task
from .tasks import EmbedTask, FinetuneTask, WarmTask

__all__ = [
    "FEW_MASKS",
    "IMAGES",
    "RUN_BANK",
    "TASKS",
    "Background",
    "Data",
    "EmbedConfig",
    "EmbedTask",
    "Facts",
    "FinetuneTask",
    "Status",
    "Task",
    "WarmTask",
    "bank_path",
    "embed_bank",
    "existing_bank",
    "existing_source",
    "facts_of_bank",
    "facts_of_manifest",
    "facts_of_volume",
    "first_free",
    "main",
    "masks_to_learn",
    "run_folder",
    "run_task",
    "sbatch_script",
    "slug",
    "suggested_bank",
    "suggested_numbers",
    "suggested_of_image",
    "suggested_run",
    "task_from_json",
    "task_to_json",
]
