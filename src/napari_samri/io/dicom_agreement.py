"""What the slices of a series must agree in, and which values make sense: two tables.

References
----------
DICOM PS3.3, C.7.6.2 (image plane), C.7.6.3 (image pixel) and C.11.1 (modality LUT).
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_samri.errors import GeometryError, InputError, InputWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_samri.io.dicom_scan import SliceFile

ORIENTATION_TOLERANCE = 1e-4
_SPACING_TOLERANCE = 1e-4
_UNIT_TOLERANCE = 5e-3
_LARGEST_SPACING_MM = 1e4
_MIXED = " (slices of different orientations or sizes, such as a localizer's?)"


@dataclass(frozen=True)
class Rule:
    """One attribute in which the slices of a series agree.

    Parameters
    ----------
    keyword : str
        As DICOM calls it.
    absolute, relative : float
        How far numbers may differ from the series' median.
    default : object
        What a slice without the attribute has; with None, such slices only cause a warning.
    secret : bool
        Whether the values may identify the patient: they are then not shown.
    refused : bool
        Whether a disagreement refuses the series. Where the volume is right all the same, there
        is only an `InputWarning`.
    kind : type
        Of the error.
    hint : str
        What a disagreement may mean.
    """

    keyword: str
    absolute: float = 0
    relative: float = 0
    default: Any = None
    secret: bool = False
    refused: bool = True
    kind: type[InputError] = InputError
    hint: str = ""


RULES = (
    Rule("Rows", kind=GeometryError, hint=_MIXED),
    Rule("Columns", kind=GeometryError, hint=_MIXED),
    Rule(
        "ImageOrientationPatient",
        absolute=ORIENTATION_TOLERANCE,
        kind=GeometryError,
        hint=_MIXED,
    ),
    Rule("PixelSpacing", relative=_SPACING_TOLERANCE, kind=GeometryError),
    Rule("FrameOfReferenceUID", secret=True, kind=GeometryError),
    Rule("PatientPosition", kind=GeometryError),
    Rule("PatientID", secret=True),
    Rule("PatientName", secret=True),
    Rule("PatientBirthDate", secret=True),
    Rule("PatientSex", secret=True),
    Rule("StudyInstanceUID", secret=True),
    Rule("Modality"),
    Rule("SamplesPerPixel", default=1),
    Rule("PhotometricInterpretation", default="MONOCHROME2"),
    Rule("PixelRepresentation", default=0),
    # The following only cause a warning: dcm2niix reads each slice by its own header.
    Rule("BitsAllocated", refused=False),
    Rule("BitsStored", refused=False),
    Rule("RescaleSlope", default=1, refused=False),
    Rule("RescaleIntercept", default=0, refused=False),
    Rule("ImageType", refused=False),
    Rule("SliceThickness", relative=1e-3, refused=False),
)


@dataclass(frozen=True)
class Sense:
    """Which values of an attribute make sense; a slice without it passes."""

    keyword: str
    holds: Callable[[Any], bool]
    expected: str
    kind: type[InputError] = InputError


def _is_scale(value: Any) -> bool:
    """Tell whether a factor is finite and not 0, also as float32, which NIfTI keeps it in."""
    with np.errstate(over="ignore"):
        scale = float(np.float32(float(value)))
    return math.isfinite(scale) and scale != 0


def _is_finite(value: Any) -> bool:
    with np.errstate(over="ignore"):
        return math.isfinite(float(np.float32(float(value))))


def _is_spacing(values: Any) -> bool:
    return all(0 < float(value) < _LARGEST_SPACING_MM for value in values)


def _is_orthonormal(values: Any) -> bool:
    across, down = np.array(values, float).reshape(2, 3)
    products = [across @ across - 1, down @ down - 1, across @ down]
    return bool(np.abs(products).max() <= _UNIT_TOLERANCE)


SENSES = (
    Sense("PixelSpacing", _is_spacing, "two positive numbers (mm)", GeometryError),
    Sense(
        "ImageOrientationPatient",
        _is_orthonormal,
        "two directions of length 1, square to each other",
        GeometryError,
    ),
    Sense("RescaleSlope", _is_scale, "a number other than 0"),
    Sense("RescaleIntercept", _is_finite, "a number"),
    Sense(
        "PhotometricInterpretation",
        lambda value: str(value).strip() in {"MONOCHROME1", "MONOCHROME2"},
        "grey values (MONOCHROME2 or MONOCHROME1)",
    ),
)
TAGS = tuple(dict.fromkeys([*(r.keyword for r in RULES), *(s.keyword for s in SENSES)]))


def check_sense(files: Sequence[SliceFile], folder: Path) -> None:
    """Refuse slices with values that make no sense, by name, value and file.

    Raises
    ------
    InputError, GeometryError
    """
    for sense in SENSES:
        for file in files:
            value = file.header.get(sense.keyword)
            if value is None or value == "" or _holds(sense, value):
                continue
            message = (
                f"{folder}: {sense.keyword} is {_shown(_plain(value))} in {file.path.name}; "
                f"expected {sense.expected}. The header is damaged or was written wrongly: repair "
                "it, or get a fresh copy of the series."
            )
            raise sense.kind(message)


def check_agreement(files: Sequence[SliceFile], folder: Path) -> None:
    """Refuse a series whose slices disagree; warn of harmless differences.

    Raises
    ------
    InputError, GeometryError
        With the attribute's name, two files, and their values, unless these may identify
        the patient.
    """
    for rule in RULES:
        values = [_value(file, rule) for file in files]
        present = [value for value in values if value is not None]
        odd = _odd_one_out(present, rule) if present else None
        if odd is not None:
            common, other = odd
            there, here = files[values.index(common)], files[values.index(other)]
            text = f"{folder}: {rule.keyword} differs within the series: "
            if rule.secret:
                text += f"{here.path.name} has another one than {there.path.name}"
            else:
                text += (
                    f"{_shown(other)} in {here.path.name}, {_shown(common)} in {there.path.name}"
                )
            _refuse_or_warn(rule, text, len(files))
        elif 0 < len(present) < len(files) and rule.refused:
            without = files[values.index(None)].path.name
            _warn(f"{folder}: {rule.keyword} is missing in {without}, but not in all slices.")


def warn_of_inverted(files: Sequence[SliceFile], folder: Path) -> None:
    """Warn of a series whose low values are meant to be bright."""
    if str(files[0].header.get("PhotometricInterpretation", "")).strip() == "MONOCHROME1":
        _warn(
            f"{folder}: PhotometricInterpretation is MONOCHROME1: low values are meant to be "
            "bright. The values are left as they are; choose an inverted colormap to see them so."
        )


def _refuse_or_warn(rule: Rule, text: str, count: int) -> None:
    if not rule.refused:
        _warn(f"{text}. Each slice is read by its own header.")
        return
    message = (
        f"{text}{rule.hint}; expected the same in all {count} slices. Put slices that belong "
        "together into a folder of their own."
    )
    raise rule.kind(message)


def _warn(message: str) -> None:
    warnings.warn(message, InputWarning, stacklevel=6)


def _holds(sense: Sense, value: Any) -> bool:
    try:
        return sense.holds(value)
    except (TypeError, ValueError, OverflowError):
        return False


def _value(file: SliceFile, rule: Rule) -> Any:
    """Return a value that can be compared: a number, a tuple of numbers, or a text."""
    value = file.header.get(rule.keyword)
    if value is None or value == "":
        return rule.default
    # A person's name is written with or without trailing carets, in capitals or not.
    return str(value).strip(" ^").casefold() if rule.secret else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, str):
        return value.strip()
    return tuple(_plain(part) for part in value)


def _odd_one_out(values: list[Any], rule: Rule) -> tuple[Any, Any] | None:
    """Return the usual value and one that differs from it too much, if there is one."""
    counts = Counter(values)
    if len(counts) == 1:
        return None
    common = counts.most_common(1)[0][0]
    others = [value for value in counts if not _agree(common, value, rule)]
    return (common, others[0]) if others else None


def _agree(one: Any, other: Any, rule: Rule) -> bool:
    first, second = np.atleast_1d(one), np.atleast_1d(other)
    if first.dtype.kind != "f" or second.dtype.kind != "f" or first.shape != second.shape:
        return bool(one == other)
    return np.allclose(first, second, rtol=rule.relative, atol=rule.absolute)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "\\".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, float) else repr(value)
