"""What the parts of a name say: which patient was imaged, and which image of theirs it is.

The parts known here were collected from public data sets; a part that is not known stays in the
patient's name.

References
----------
ACDC (``patient001_frame01``), M&Ms-2 (``001_SA_ED``), BraTS (``BraTS-GLI-00003-001-t1n``), OASIS
(``OAS1_0001_MR2``), ADNI (``002_S_0295``), UK Biobank (``1000123_20252_2_0``), PI-CAI
(``10000_1000000``), OAI (``9000099_V01_LEFT``), and BIDS' entities:
https://bids-specification.readthedocs.io/en/stable/appendices/entities.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from napari_samri.datasets.spelling import composed

SEPARATOR = r"[_\-. ]+"
SUBJECT = "subject"

# Patterns that identify a person wherever they stand in a name.
_PEOPLE = (
    (SUBJECT, r"(?<![^\W_])sub-[^_./]+?(?=-(?:ses|run|acq|echo|space|task|dir|rec)-|[_./]|$)"),
    ("ADNI's number", r"(?<!\d)\d{3}_S_\d{4,5}(?!\d)"),
    ("OASIS' number", r"(?<![^\W_])OAS(?:[12]_\d{4}|[34]\d{4})(?!\d)"),
    ("TCGA's number", r"(?<![^\W_])TCGA-\w{2}-\w{4}(?![^\W_])"),
    ("UK Biobank's number", r"^\d{7}(?=_\d{5}_\d+_\d+(?:_|$))"),
    ("PI-CAI's number", r"^\d{5}(?=_\d{7}(?:_|$))"),
)
_ENTITIES = (
    "ses|task|acq|ce|trc|stain|rec|dir|run|mod|echo|flip|inv|mt|part|hemi|space|res|den|desc|chunk"
)
# Words that are unmistakable, wherever they stand.
_PLAIN = (
    ("BIDS entity", rf"(?:{_ENTITIES})-[^\W_]+"),
    ("frame", r"frame[-_ ]?\d+"),
    ("time point", r"(?:time[-_ ]?point|time|tp)[-_ ]?\d+"),
    ("session", r"(?:session|sess|ses)[-_ ]?\d+"),
    ("visit", r"visit[-_ ]?(?:\d+|[a-z])"),
    ("run", r"run[-_ ]?\d+"),
    ("heart's phase", r"ED|ES|(?:end[-_]?)?(?:diastol|systol)(?:e|ic)"),
    ("side", r"left|right"),
    ("echo", r"echo[-_ ]?\d+"),
    ("slab", r"(?:slab|stack)[-_ ]?\d+"),
    ("slice", r"slice[-_ ]?\d+"),
    ("follow-up", r"baseline|screening|follow[-_]?up(?:[-_ ]?\d+)?|fu[-_ ]?\d+[a-z]?"),
    ("follow-up", r"(?:month|week|year|day)[-_ ]?\d+(?:[-_]\d)?"),
    ("follow-up", r"(?:pre|post)[-_ ]?(?:op|operative|treatment|surgery|rt|chemo|contrast)?"),
    ("retest", r"re-?(?:test|scan|peat)[-_ ]?\d*"),
)
_CONTRASTS = (
    "t1|t1w|t1c|t1ce|t1gd|t1n|t1post|t1map|t2|t2w|t2f|t2s|t2star|t2starw|flair|pd|pdw|adc|dwi|dti"
    "|swi|bold|mp2?rage|dixon|stir|tof|mra|mri|mr|ct|pet|inplanet[12]|uni(?:t1)?|dess|in|opp|water|fat"
)
# Short ones, which count only at the end of a name that has a number in front of them.
_SHORT = (
    ("contrast", _CONTRASTS),
    ("time point", r"(?<=\d{5}[-_])\d{3}"),
    ("time point", r"t\d{1,3}"),
    ("session", r"mr\d{1,2}"),
    ("visit", r"v\d{1,2}"),
    ("side", r"[lr]|lt|rt"),
    ("echo", r"e\d{1,2}"),
    ("slice", r"(?:sl|z)\d{1,4}"),
    ("frame", r"(?:fr|ph|phase)[-_]?\d{1,3}"),
    ("follow-up", r"bl|fu"),
    ("date", r"(?:19|20)\d{2}([-_.]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?:[T_-]\d{4,6})?"),
    ("view", r"sa|la|sax|lax|[234]ch|axial|ax|tra|sagittal|sag|coronal|cor"),
    ("time series", r"4d"),
)
# These may count people, or images of one person: all names of the data set decide (`patients`).
_COUNTED = (
    ("scan", r"(?:scan|series|acq|vol|volume|image|img|study|exam|rep)[-_ ]?\d+"),
    ("follow-up", r"[dwy]\d{1,4}"),
)
# BraTS of 2017 to 2019 ends in the number of the visit, later ones in that of the patient.
_BRATS_VISIT = re.compile(r"(?<=\w)_\d$")
_BRATS = re.compile(r"^brats1[3-9]_.+_.+_\d$", re.IGNORECASE)


def _alternatives(parts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((kind, f"(?:{pattern})") for kind, pattern in parts)


_FLAGS = re.IGNORECASE
_WHOLE = [
    (kind, re.compile(f"^{pattern}$", _FLAGS))
    for kind, pattern in _alternatives((*_PLAIN, *_SHORT, *_COUNTED))
]
_ANYWHERE = [
    (kind, re.compile(rf"(?:^|{SEPARATOR}){pattern}(?={SEPARATOR}|$)", _FLAGS))
    for kind, pattern in _alternatives(_PLAIN)
]
_AT_END = [
    (kind, re.compile(rf"{SEPARATOR}{pattern}$", _FLAGS)) for kind, pattern in _alternatives(_SHORT)
]
_COUNTED_AT_END = [
    (kind, re.compile(rf"{SEPARATOR}{pattern}$", _FLAGS))
    for kind, pattern in _alternatives(_COUNTED)
]
_GLUED_SIDE = re.compile(r"(?<=\d)[LR]$")
_FOUND_PEOPLE = [(kind, re.compile(pattern, _FLAGS)) for kind, pattern in _PEOPLE]
_EDGES = " _-."


@dataclass(frozen=True)
class ReadName:
    """What a name says.

    Parameters
    ----------
    person : str
        The name without its known parts; the whole name if nothing would be left.
    parts : tuple of str
        Which kinds of parts were left out, or the pattern that identified the person.
    short : str
        The person if short parts after a name without a number count too: right only if all
        names of the data set together support it.
    bold : str
        The person if counted scans count too.
    """

    person: str
    parts: tuple[str, ...]
    short: str
    bold: str

    @property
    def is_subject(self) -> bool:
        """Whether BIDS' ``sub-`` identifies the person."""
        return self.parts == (SUBJECT,)


def read_name(name: str) -> ReadName:
    """Derive the person from the name of a file or folder, without its suffix."""
    name = composed(name)
    for kind, pattern in _FOUND_PEOPLE:
        if found := pattern.search(name):
            return ReadName(found[0], (kind,), found[0], found[0])
    plain, parts = _without_plain(name)
    short, more = _without_short(plain)
    bold, _ = _without_short(plain, counted=True)
    if not has_number(short):
        return ReadName(plain, tuple(dict.fromkeys(parts)), short, bold)
    return ReadName(short, tuple(dict.fromkeys([*parts, *more])), short, bold)


def says_no_person(name: str) -> bool:
    """Tell whether a name is only a known part, such as ``ses-1``, ``T1`` or ``left``."""
    return any(pattern.match(composed(name)) for _, pattern in _WHOLE)


def has_number(name: str) -> bool:
    """Tell whether there is a digit in a name, apart from those of contrasts such as T1."""
    words = re.split(SEPARATOR, name)
    contrast = re.compile(f"^(?:{_CONTRASTS})$", _FLAGS)
    return any(re.search(r"\d", word) and not contrast.match(word) for word in words)


def _without_plain(name: str) -> tuple[str, list[str]]:
    """Leave out unmistakable parts wherever they stand, as long as something is left."""
    parts: list[str] = []
    for kind, pattern in _ANYWHERE:
        rest = pattern.sub("", name).strip(_EDGES)
        if rest and rest != name and not says_no_person(rest):
            name, parts = rest, [*parts, kind]
    if _BRATS.match(name):
        return _BRATS_VISIT.sub("", name), [*parts, "visit"]
    return name, parts


def _without_short(name: str, *, counted: bool = False) -> tuple[str, list[str]]:
    """Leave out short parts at the end, one after the other, as long as something is left."""
    parts: list[str] = []
    patterns = [*_AT_END, *(_COUNTED_AT_END if counted else ())]
    while True:
        for kind, pattern in patterns:
            rest = pattern.sub("", name).strip(_EDGES)
            if rest and rest != name:
                name, parts = rest, [*parts, kind]
                break
        else:
            break
    if _GLUED_SIDE.search(name):
        return _GLUED_SIDE.sub("", name), [*parts, "side"]
    return name, parts
