"""``python -m tests.training.dying STEPS VERB ...``: the command line, killed after so many steps.

Killed by itself, so that the step does not depend on how fast the test looks.
"""

import os
import signal
import sys

from napari_samri.cli import main
from napari_samri.training.optimise import Optimiser

left = [int(sys.argv[1])]


def finish(optimiser, *args, _real=Optimiser.finish, **kwargs):
    result = _real(optimiser, *args, **kwargs)
    left[0] -= 1
    if left[0] <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


if __name__ == "__main__":
    Optimiser.finish = finish
    sys.exit(main(sys.argv[2:]))
