"""A SLURM array script for a batch run: one rank per array task, to be looked through first."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_samri.work.config import EmbedConfig


def sbatch_script(config: EmbedConfig, ranks: int) -> str:
    """Return a script for ``sbatch`` that runs a batch run in `ranks` array tasks.

    A task that is preempted or runs out of time may be submitted again as it is: shards that
    are complete are left alone. Signals come early enough to keep what is half done.
    """
    command = [
        *(sys.executable, "-m", "napari_samri", "embed", str(config.manifest.absolute())),
        *("--out", str(config.out.absolute()), "--model", config.model),
        *(("--family", config.family) if config.family else ()),
        *("--device", config.device, "--quantise", config.quantisation),
    ]
    line = " ".join(shlex.quote(word) for word in command)
    return f"""\
#!/bin/bash
#SBATCH --job-name=samri-embed
#SBATCH --array=0-{ranks - 1}
#SBATCH --cpus-per-task=4
#SBATCH --mem=12G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=TERM@60
#SBATCH --output=samri-embed-%A_%a.log
# For GPUs add: #SBATCH --gpus-per-task=1
set -euo pipefail
export OMP_NUM_THREADS="${{SLURM_CPUS_PER_TASK:-4}}"
exec srun {line} \\
    --rank "$SLURM_ARRAY_TASK_ID" --of {ranks}
"""
