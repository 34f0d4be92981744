"""Documents: JSON that may be damaged, altered or hostile, read by what it has to be.

A `Reader` turns a JSON value into what the program works with, or raises a `Flaw`. The functions
here make readers of numbers, texts, lists and records; put together they are the schema of a
document, which `read_json` and `parse_json` apply. What comes out is of the types and within the
bounds that the schema names, so no other module needs a list of what damaged files can raise.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
