"""What is known of a model before its file is opened."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# Which mask a lone point gets: the single one, or the best of three by predicted IoU.
SINGLE, BEST = "single", "best"


@dataclass(frozen=True, kw_only=True)
class Download:
    """Where a checkpoint comes from.

    Parameters
    ----------
    filename : str
        Under which it is kept in the models folder.
    url : str or None
        Direct address of the file; None if people have to fetch it from `page` by hand.
    page : str or None
        A page about the file, for people.
    digest : str or None
        ``sha256:...`` or ``xxh128:...`` of the whole file; None if its publisher gives none.
    size : int or None
        In bytes.
    """

    filename: str
    url: str | None = None
    page: str | None = None
    digest: str | None = None
    size: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model of the catalogue.

    Parameters
    ----------
    id : str
        What people type.
    title : str
        What people read.
    family : str
        Id of its `napari_samri.models.preprocessing.Preprocessing`.
    architecture : str
        Which network its tensors fit: ``vit_b``, ``vit_l``, ``vit_h``, ``starter``, ...
    download : Download or None
        None for the model that ships inside the package, and for tuned decoders.
    licence : str
        Of the weights.
    score_is_stale : bool
        Whether training left the head behind that predicts a mask's quality, so that its
        numbers mean nothing.
    takes_points : bool
        Whether points were among the prompts of its training.
    lone_point : str
        Which mask a single point gets if one is asked for: `SINGLE`, or `BEST` of the three
        candidates by predicted IoU, for models that were trained so.
    available : bool
        False for models that are listed, but that this version cannot run.
    description : str
        One line.
    path : str or None
        Where a tuned decoder's file is; None for all other models.
    base : str or None
        The model that a tuned decoder was tuned from: id or file name.
    """

    id: str
    title: str
    family: str
    architecture: str
    download: Download | None
    licence: str
    description: str
    score_is_stale: bool = False
    takes_points: bool = True
    lone_point: str = SINGLE
    available: bool = True
    path: str | None = None
    base: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as plain values, for JSON."""
        return asdict(self)
