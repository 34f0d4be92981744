"""``python -m tests.work.pausing``: a job's process, which waits to be stopped half way."""

import sys
import time

from napari_samri.jobs.events import Progressed
from napari_samri.jobs.report_file import Reporter
from napari_samri.work import main

AFTER = 5


def tell(reporter, event, _real=Reporter.tell):
    _real(reporter, event)
    if isinstance(event, Progressed) and event.done >= AFTER:
        while not reporter.cancel():
            time.sleep(0.01)


if __name__ == "__main__":
    Reporter.tell = tell
    sys.exit(main())
