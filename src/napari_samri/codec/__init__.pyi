from .compound import list_of, map_of, record, row_of
from .document import parse_json, read_bytes, read_json
from .flaw import Flaw, shown
from .salvage import Sorted, Unreadable, read_each
from .tensor_file import DIGEST, matches_digest, with_digest
from .typed import Axes, Form, Tagged, check_fields, field_readers, from_plain, reader_of, to_plain
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
    "Axes",
    "Flaw",
    "Form",
    "Reader",
    "Sorted",
    "Tagged",
    "Unreadable",
    "any_object",
    "anything",
    "check_fields",
    "convert",
    "field_readers",
    "flag",
    "from_plain",
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
    "reader_of",
    "record",
    "row_of",
    "shown",
    "text",
    "to_plain",
    "with_digest",
]
