"""Scripts for SLURM, to be looked through first: the whole task stands in them."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_samri.errors import InputError
from napari_samri.work.registry import task_to_text
from napari_samri.work.tasks import EmbedTask, FinetuneTask

if TYPE_CHECKING:
    from napari_samri.work.task import Task

_MODULE = "napari_samri.work"


def sbatch_script(task: Task) -> str:
    """Return a script for ``sbatch`` that does a task: the very same one.

    Embedding runs in an array of as many ranks as its `EmbedConfig` says, training with torchrun
    on all GPUs of its nodes. A run that is preempted goes back into the queue; one whose time is
    up saves and ends, and goes on when the script is submitted again.

    Raises
    ------
    InputError
        If there is no script for such a task, or several processes would embed for one training.
    """
    match task:
        case EmbedTask():
            return _embed_script(task)
        case FinetuneTask(manifest=None, data=None):
            return _finetune_script(task)
        case FinetuneTask():
            message = (
                "a script trains in several processes, on a bank that is there; embed the data "
                "set into one first and give that."
            )
        case _:
            message = f"'{task.title}': there is no script for such a task."
    raise InputError(message)


def _embed_script(task: EmbedTask) -> str:
    config = task.config
    config = replace(config, manifest=config.manifest.absolute(), out=config.out.absolute())
    text = shlex.quote(task_to_text(replace(task, config=config)))
    return f"""\
#!/bin/bash
#SBATCH --job-name=samri-embed
#SBATCH --array=0-{config.ranks - 1}
#SBATCH --cpus-per-task=4
#SBATCH --mem=12G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
#SBATCH --output=samri-embed-%A_%a.log
# For GPUs add: #SBATCH --gpus-per-task=1
set -euo pipefail
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-4}}"
task={text}
exec srun {shlex.quote(sys.executable)} -m {_MODULE} "$task" --rank "$SLURM_ARRAY_TASK_ID"
"""


def _finetune_script(task: FinetuneTask) -> str:
    # The steps of a job do not inherit its processors.
    config = task.config
    config = replace(config, bank=config.bank.absolute(), out=config.out.absolute())
    text = shlex.quote(task_to_text(replace(task, config=config)))
    return f"""\
#!/bin/bash
#SBATCH --job-name=samri-finetune
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
#SBATCH --time=08:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@120
#SBATCH --output=samri-finetune-%j.log
set -euo pipefail
head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
task={text}
exec srun --cpus-per-task="$SLURM_CPUS_PER_TASK" {shlex.quote(sys.executable)} \\
    -m torch.distributed.run \\
    --nnodes "$SLURM_NNODES" --nproc-per-node "${{SLURM_GPUS_ON_NODE:-1}}" \\
    --rdzv-backend c10d --rdzv-endpoint "$head:29500" --rdzv-id "$SLURM_JOB_ID" \\
    -m {_MODULE} "$task"
"""
