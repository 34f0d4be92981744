"""``python -m napari_samri.work``: a job's process."""

import sys

from napari_samri.work import main

sys.exit(main())
