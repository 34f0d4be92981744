from .containers import list_of, map_of, record, row_of
from .document import LIMIT_BYTES, parse_json, read_bytes, read_json
from .flaw import Flaw, shown
from .salvage import Sorted, Unreadable, read_each
from .tensor_file import DIGEST, matches_digest, with_digest
from .values import (
    Reader,
    any_object,
    anything,
    convert,
    flag,
    integer,
    line,
    number,
    one_of,
    optional,
    text,
)

__all__ = [
    "DIGEST",
    "LIMIT_BYTES",
    "Flaw",
    "Reader",
    "Sorted",
    "Unreadable",
    "any_object",
    "anything",
    "convert",
    "flag",
    "integer",
    "line",
    "list_of",
    "map_of",
    "matches_digest",
    "number",
    "one_of",
    "optional",
    "parse_json",
    "read_bytes",
    "read_each",
    "read_json",
    "record",
    "row_of",
    "shown",
    "text",
    "with_digest",
]
