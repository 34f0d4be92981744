"""``python -m tests.training.breaking``: the command line, with a slice of NaN on the last rank."""

import sys

from napari_samri.cli import main
from napari_samri.embeddings.bank import Bank

REAL = Bank.stored


def stored(bank, row, *feature):
    values, scale = REAL(bank, row, *feature)
    return (values * float("nan") if row == 3 else values), scale


if __name__ == "__main__":
    Bank.stored = stored
    sys.exit(main(sys.argv[1:]))
