"""``python -m napari_samri``: the command line."""

import sys

from napari_samri.cli import main

sys.exit(main())
