"""A SLURM script for a training run on several GPUs, to be looked through first."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_samri.training.config import TrainConfig


def sbatch_script(config: TrainConfig, *, code_compat: bool = False) -> str:
    """Return a script for ``sbatch`` that trains with torchrun on all GPUs of its nodes.

    A run that is preempted goes back into the queue; one whose time is up saves and ends, and
    goes on when the script is submitted again. The steps of a job do not inherit its processors.
    """
    line = " ".join(shlex.quote(word) for word in _command(config, code_compat=code_compat))
    python = shlex.quote(sys.executable)
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
exec srun --cpus-per-task="$SLURM_CPUS_PER_TASK" {python} -m torch.distributed.run \\
    --nnodes "$SLURM_NNODES" --nproc-per-node "${{SLURM_GPUS_ON_NODE:-1}}" \\
    --rdzv-backend c10d --rdzv-endpoint "$head:29500" --rdzv-id "$SLURM_JOB_ID" \\
    {line}
"""


def _command(config: TrainConfig, *, code_compat: bool) -> list[str]:
    """Return the words after ``python`` that make this run."""
    numbers = {
        "epochs": config.epochs,
        "batch": config.batch,
        "micro-batch": config.micro_batch,
        "masks-per-slice": config.masks_per_slice,
        "quota": config.quota or 0,
        "learning-rate": config.learning_rate,
        "weight-decay": config.weight_decay,
        "rate-decay": config.rate_decay,
        "patience": config.patience,
        "validate-every": config.validate_every,
        "validate-masks": config.validate_masks,
        "seed": config.seed,
    }
    return [
        *("-m", "napari_samri", "finetune", str(config.bank.absolute())),
        *("--out", str(config.out.absolute()), "--model", config.model),
        *(("--family", config.family) if config.family else ()),
        *("--objective", config.objective.name, *(("--code-compat",) if code_compat else ())),
        *(("--split-slices",) if config.split_slices else ()),
        *(("--components",) if config.components else ()),
        *(("--device", config.device) if config.device != "auto" else ()),
        *(word for name, value in numbers.items() for word in (f"--{name}", str(value))),
    ]
