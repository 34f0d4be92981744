"""What a batch run is to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  # what tasks hold is read by its annotations

from napari_samri.embeddings.bank import Quantisation  # noqa: TC001
from napari_samri.errors import OptionError
from napari_samri.options import DEVICE, FAMILY, MODEL, option


@dataclass(frozen=True, kw_only=True)
class EmbedConfig:
    """A batch run.

    Parameters
    ----------
    manifest : pathlib.Path
        Made by ``napari-samri prepare``.
    out : pathlib.Path
        The bank to make or to append to.
    model : str
        Id of a known model, or a checkpoint file; only its encoder is used.
    family : str, optional
        Preprocessing of a checkpoint given by path.
    device : str
        ``auto``, or a device's name.
    quantisation : str
        ``float16``, or ``int8`` (half the bytes).
    turn : int
        0 to 7: slices and labels are turned so first (`napari_samri.geometry.plane`), for banks
        that a training shows its decoder beside the one that is as the scans are.
    rank, ranks : int
        This run does every `ranks`-th shard, from the shard `rank` on.

    Raises
    ------
    OptionError
        If the rank is not one of the ranks.
    """

    manifest: Path
    out: Path
    model: str = option("starter", MODEL)
    family: str | None = option(None, FAMILY)
    device: str = option("auto", DEVICE)
    quantisation: Quantisation = option(
        "float16",
        label="Stored as",
        flag="quantise",
        choices=(("float16", "float16"), ("int8, half the bytes", "int8")),
        tip="float16 keeps the encoder's numbers; int8 takes half the bytes, and masks differ a "
        "little from those of float16 embeddings (see the documentation for how much)",
        help="int8 takes half the bytes; see the documentation for what it costs",
    )
    turn: int = 0
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.ranks:
            message = f"the rank is {self.rank} of {self.ranks}; expected 0 to {self.ranks - 1}."
            raise OptionError(message, "rank")
