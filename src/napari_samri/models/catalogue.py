"""What is known of models before their files are opened, and the models known by name.

SAM, SAMRI and MedicoSAM share layouts; SAM ViT-B and all of SAMRI even share one encoder, which
is found by its tensors and not by these names.
"""

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


_SAM = "https://dl.fbaipublicfiles.com/segment_anything"
_SAMRI_PAGE = "https://espace.library.uq.edu.au/view/UQ:cadac84"

STARTER = ModelSpec(
    id="starter",
    title="Starter",
    family="starter",
    architecture="starter",
    download=None,
    licence="BSD-3-Clause",
    description=(
        "Small model inside the package, trained on made-up images only; "
        "not validated for any clinical or research use."
    ),
)


def _sam(size: str, suffix: str, sha256: str, file_size: int | None = None) -> ModelSpec:
    filename = f"sam_vit_{size}_{suffix}.pth"
    return ModelSpec(
        id=f"sam-vit-{size}",
        title=f"SAM ViT-{size.upper()}",
        family="sam",
        architecture=f"vit_{size}",
        download=Download(
            filename=filename,
            url=f"{_SAM}/{filename}",
            digest=f"sha256:{sha256}",
            size=file_size,
        ),
        licence="Apache-2.0",
        description=f"Segment Anything with a ViT-{size.upper()} encoder, natural images.",
    )


def _samri(variant: str, description: str) -> ModelSpec:
    return ModelSpec(
        id=f"samri-{variant.replace('_', '-')}",
        title=f"SAMRI {variant.replace('_', ', ')}",
        family="sam",
        architecture="vit_b",
        download=Download(filename=f"samri_vitb_{variant}.pth", page=_SAMRI_PAGE),
        licence="see its page",
        description=description,
        score_is_stale=True,
        takes_points=variant.startswith("bp"),
    )


CATALOGUE = (
    STARTER,
    _sam(
        "b",
        "01ec64",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        375_042_383,
    ),
    _sam("l", "0b3195", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"),
    _sam("h", "4b8939", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"),
    _samri("box", "SAM ViT-B with a mask decoder tuned on MRI, box prompts."),
    _samri("bp", "SAM ViT-B with a mask decoder tuned on MRI, box and point prompts."),
    _samri("box_zero", "As samri-box, the epoch with the lowest zero-shot loss."),
    _samri("bp_zero", "As samri-bp, the epoch with the lowest zero-shot loss."),
    ModelSpec(
        id="medsam",
        title="MedSAM",
        family="medsam",
        architecture="vit_b",
        download=Download(
            filename="medsam_vit_b.pth",
            url="https://zenodo.org/records/10689643/files/medsam_vit_b.pth",
        ),
        licence="Apache-2.0",
        description="SAM ViT-B tuned on many medical modalities, box prompts only.",
        score_is_stale=True,
        takes_points=False,
    ),
    ModelSpec(
        id="medicosam",
        title="MedicoSAM",
        family="sam",
        architecture="vit_b",
        download=Download(
            filename="vit_b_medicosam.pt",
            url="https://owncloud.gwdg.de/index.php/s/f5Ol4FrjPQWfjUF/download",
            digest="xxh128:40169f1e3c03a4b67bff58249c176d92",
        ),
        licence="see its page",
        description="SAM ViT-B tuned on medical images for prompts and corrections.",
        lone_point=BEST,
    ),
    ModelSpec(
        id="mobilesam",
        title="MobileSAM",
        family="sam",
        architecture="mobile_sam",
        download=Download(
            filename="mobile_sam.pt",
            url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
            digest="sha256:6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            size=40_728_226,
        ),
        licence="Apache-2.0",
        description="SAM with a small encoder (TinyViT), natural images; enough for a laptop.",
    ),
    ModelSpec(
        id="litemedsam",
        title="LiteMedSAM",
        family="litemedsam",
        architecture="lite_medsam",
        download=Download(
            filename="lite_medsam.pth",
            page="https://github.com/bowang-lab/MedSAM/tree/LiteMedSAM",
        ),
        licence="Apache-2.0",
        description="MedSAM with a small encoder (TinyViT), box prompts only.",
        score_is_stale=True,
        takes_points=False,
    ),
)
