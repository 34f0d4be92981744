"""Documents: JSON that may be damaged, altered or hostile, read by what it has to be.

A `Reader` turns a JSON value into what the program works with, or raises a `Flaw`. The functions
here make readers of numbers, texts, lists and records; put together they are the schema of a
document, which `read_json` and `parse_json` apply. What comes out is of the types and within the
bounds that the schema names, so nobody else needs a list of what damaged files can raise.
"""

from napari_samri.codec.containers import list_of, map_of, record, row_of
from napari_samri.codec.document import LIMIT_BYTES, parse_json, read_bytes, read_json
from napari_samri.codec.flaw import Flaw, shown
from napari_samri.codec.salvage import Sorted, Unreadable, read_each
from napari_samri.codec.tensor_file import DIGEST, matches_digest, with_digest
from napari_samri.codec.values import (
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
