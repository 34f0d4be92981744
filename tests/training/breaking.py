"""``python -m tests.training.breaking``: the command line, with a slice of NaN on the last rank."""

import sys

from napari_samri.cli import main
from napari_samri.embeddings.bank import Bank


def stored(bank, row, _real=Bank.stored):
    values, scale = _real(bank, row)
    return (values * float("nan") if row == 3 else values), scale


if __name__ == "__main__":
    Bank.stored = stored
    sys.exit(main(sys.argv[1:]))
