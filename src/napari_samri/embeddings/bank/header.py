"""What all embeddings of a bank have in common: encoder, preprocessing, features, quantisation."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, get_args

from napari_samri.atomic import own_folder
from napari_samri.codec import (
    Flaw,
    Reader,
    any_object,
    convert,
    integer,
    line,
    map_of,
    one_of,
    read_json,
    record,
    row_of,
    text,
)
from napari_samri.embeddings.bank.files import zarr_group
from napari_samri.embeddings.features import IMAGE
from napari_samri.errors import InputError, MissingFileError, ModelError, StoreError
from napari_samri.geometry import TURNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_samri.geometry import Reduction

FORMAT = "napari-samri-bank"
# Version 1: labels in low resolution are those of the majority. 2: labels keep their area. 3: rows
# have content keys (but of int8), and features have names.
VERSION = 3
_OF_MAJORITY, _WITHOUT_KEYS = 1, 2
ATTRIBUTE = "napari_samri"
Quantisation = Literal["float16", "int8"]
Shape = tuple[int, int, int]
QUANTISATIONS: tuple[Quantisation, ...] = get_args(Quantisation)


@dataclass(frozen=True)
class BankHeader:
    """What makes an embedding usable by a decoder.

    Parameters
    ----------
    architecture : str
        Of the encoder, such as ``vit_b``.
    encoder : str
        SHA-256 of the encoder's tensors.
    family : str
        Id of the model family, whose frames `labels` and `thumb` lie in.
    preprocessing : str
        Id of everything that happens to a slice before the encoder.
    input_size, low_res_size : int
        Sides of the encoder's square input, and of the decoder's logits, in pixels.
    features : mapping of str to tuple of int
        (C, h, w) of each feature.
    quantisation : str
        ``float16`` or ``int8`` (one scale per channel).
    turn : int
        How slices and labels were turned before they were embedded: see `turned`.
    version : int
        Of the format.
    """

    architecture: str
    encoder: str
    family: str
    preprocessing: str
    input_size: int
    low_res_size: int
    features: Mapping[str, Shape]
    quantisation: Quantisation = "float16"
    turn: int = 0
    version: int = VERSION

    def __post_init__(self) -> None:
        if self.quantisation not in QUANTISATIONS:
            message = (
                f"the quantisation is {self.quantisation!r}; expected one of "
                f"{', '.join(QUANTISATIONS)}."
            )
            raise InputError(message)
        if self.turn not in range(TURNS):
            message = f"the turn is {self.turn!r}; expected 0 to {TURNS - 1}."
            raise InputError(message)

        if self.version < VERSION and self.features.keys() != {IMAGE}:
            message = (
                f"a bank of version {self.version} holds the feature '{IMAGE}' only; the encoder "
                f"makes {', '.join(self.features)}. Make a new bank."
            )
            raise InputError(message)

    @property
    def reduction(self) -> Reduction:
        """How labels are brought to low resolution: see `labels_to_low_res`."""
        return "majority" if self.version == _OF_MAJORITY else "area"

    @property
    def keyed(self) -> bool:
        """Whether rows have content keys; numbers of 8 bits are not those that a key stands for."""
        return self.version > _WITHOUT_KEYS and not self.is_int8

    @property
    def is_int8(self) -> bool:
        """Whether features are stored in 8 bits, with a scale per channel."""
        return self.quantisation == "int8"

    def as_dict(self) -> dict[str, Any]:
        """Return the header as JSON values, with the format's name.

        Names of parts depend on it, so headers of earlier versions stay as they were.
        """
        fields = asdict(self)
        shapes = {name: list(shape) for name, shape in sorted(self.features.items())}
        fields["features"] = shapes
        if self.version < VERSION:
            del fields["features"]
            fields["embedding_shape"] = shapes[IMAGE]
        if self.version == _WITHOUT_KEYS:
            fields["reduction"] = self.reduction
        if not self.turn:
            del fields["turn"]
        return {"format": FORMAT, **fields}

    def differences(self, other: BankHeader) -> str:
        """Say in what this header differs from another one."""
        mine, yours = self.as_dict(), other.as_dict()
        names = dict.fromkeys((*mine, *yours))
        differing = [name for name in names if mine.get(name) != yours.get(name)]
        return ", ".join(
            f"{name} {mine.get(name)} instead of {yours.get(name)}" for name in differing
        )

    def check_model(self, encoder: str, preprocessing: str, title: str, path: Path) -> None:
        """Raise ModelError unless a model's own encoder and preprocessing made this bank."""
        if (encoder, preprocessing) == (self.encoder, self.preprocessing):
            return
        message = (
            f"{path}: its embeddings are of the {self.architecture} encoder {self.encoder[:8]} "
            f"({self.preprocessing}), but {title} has the encoder {encoder[:8]} "
            f"({preprocessing}). Choose a model with the same encoder, or another bank."
        )
        raise ModelError(message)


_LIMIT_BYTES = 1 << 20
_SIDE = integer(1, 1 << 16)
# Far more numbers than any encoder gives for a slice, far less than memory.
_MOST_NUMBERS = 1 << 26


def _bounded(features: dict[str, Shape]) -> dict[str, Shape]:
    if not features or sum(map(math.prod, features.values())) > _MOST_NUMBERS:
        message = f"expected features, of at most {_MOST_NUMBERS:,} numbers in all"
        raise ValueError(message)
    return features


def _of_one_feature(embedding_shape: Shape, reduction: str = "", **fields: Any) -> BankHeader:
    return BankHeader(features=_bounded({IMAGE: embedding_shape}), **fields)


_SHAPE = row_of(_SIDE, _SIDE, _SIDE)
_FIELDS = {
    "architecture": line(),
    "encoder": line(),
    "family": line(),
    "preprocessing": line(),
    "input_size": _SIDE,
    "low_res_size": integer(1, 1 << 12),
    "quantisation": one_of(*QUANTISATIONS),
}
_OTHERS = {"turn": integer(0, TURNS - 1)}


def _header(version: int, make: Any, required: Any, others: Any) -> Reader[BankHeader]:
    return record(
        partial(make, version=version),
        _FIELDS | required,
        _OTHERS | others,
        marks={"format": FORMAT, "version": version},
        unknown="refuse",
    )


_ONE = {"embedding_shape": _SHAPE}
_SEVERAL = {"features": convert(map_of(_SHAPE, text(40, r"[a-z0-9][a-z0-9._-]*")), _bounded)}
_HEADERS = {
    _OF_MAJORITY: _header(_OF_MAJORITY, _of_one_feature, _ONE, {}),
    _WITHOUT_KEYS: _header(_WITHOUT_KEYS, _of_one_feature, _ONE, {"reduction": one_of("area")}),
    VERSION: _header(VERSION, BankHeader, _SEVERAL, {}),
}


def read_header(bank: Path) -> BankHeader:
    """Read a bank's header.

    Raises
    ------
    InputError
        If the folder is missing or no bank of this version.
    """
    values = _attributes(bank)
    version = values.get("version")
    if type(version) is not int or version not in _HEADERS:
        message = (
            f"{bank}: a bank of version {version!r}; expected {VERSION} or less. Use the "
            "version of napari-samri that it was made with, or make it anew."
        )
        raise InputError(message)
    try:
        return _HEADERS[version](values)
    except Flaw as flaw:
        message = f"{bank}: a damaged bank: its header cannot be used ({flaw}). Make it anew."
        raise InputError(message) from flaw


def is_bank(path: Path) -> bool:
    """Tell whether a folder is a bank, of any version."""
    try:
        return bool(_attributes(path))
    except InputError:
        return False


def create_bank(bank: Path, header: BankHeader) -> None:
    """Make an empty bank, or check that the one that is there is of the same kind.

    Raises
    ------
    ModelError, InputError, StoreError
        If there is another kind of bank, or something else, or it cannot be written.
    """
    if not _is_free(bank):
        _check_same(bank, read_header(bank), header)
        return
    try:
        bank.parent.mkdir(parents=True, exist_ok=True)
        with own_folder(bank) as stage:
            with zarr_group(stage / "bank", {ATTRIBUTE: header.as_dict()}):
                pass
            with suppress(FileNotFoundError):
                bank.rmdir()  # Windows does not replace an empty folder
            (stage / "bank").rename(bank)
    except OSError as error:
        if _is_free(bank):
            message = f"{bank}: cannot be written ({error.strerror or error})."
            raise StoreError(message) from error
        # Another process was faster.
        _check_same(bank, read_header(bank), header)


def _check_same(bank: Path, found: BankHeader, header: BankHeader) -> None:
    """Raise ModelError or InputError unless a bank's header is the one that is asked for."""
    found.check_model(header.encoder, header.preprocessing, "the chosen model", bank)
    if found != header:
        message = f"{bank}: already a bank with {found.differences(header)}. Choose another place."
        raise InputError(message)


def _is_free(path: Path) -> bool:
    """Tell whether there is nothing, or an empty folder."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def _attributes(bank: Path) -> Mapping[str, Any]:
    try:
        found: dict[str, Any] = read_json(bank / "zarr.json", _GROUP, _LIMIT_BYTES)
        attributes: dict[str, Any] = found["attributes"][ATTRIBUTE]
    except MissingFileError:
        reason = ""
    except InputError as error:
        reason = f" ({error})"
    else:
        if attributes.get("format") == FORMAT:
            return attributes
        reason = ""
    message = (
        f"{bank}: not an embedding bank; expected a folder made by 'napari-samri embed'{reason}."
    )
    raise InputError(message)


_GROUP: Reader[dict[str, Any]] = record(dict, {"attributes": record(dict, {ATTRIBUTE: any_object})})


def header_differs(bank: Path, header: BankHeader) -> bool:
    """Tell whether a bank's description, for zarr, is another one than its header's."""
    with TemporaryDirectory() as folder:
        with zarr_group(Path(folder), {ATTRIBUTE: header.as_dict()}):
            pass
        paths = (bank / "zarr.json", Path(folder) / "zarr.json")
        found, expected = (read_json(path, any_object, _LIMIT_BYTES) for path in paths)
    return found != expected
