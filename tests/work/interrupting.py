"""``python -m tests.work.interrupting``: the command line, with a Ctrl+C at its first progress."""

import os
import signal
import sys

from napari_samri.cli import main
from napari_samri.jobs.terminal import ProgressLine


def step(*_):
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    ProgressLine.step = step
    sys.exit(main(sys.argv[1:]))
