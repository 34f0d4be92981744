"""The errors this package raises on purpose.

Every message says what was given, what was expected, and what to do.
"""

from __future__ import annotations


class SamriError(Exception):
    """Base of all errors raised on purpose; its text is meant for the user."""


class InputError(SamriError, ValueError):
    """A file, array, prompt or option that cannot be used."""


class OptionError(InputError):
    """A setting that makes no sense, or does not go with another one.

    Parameters
    ----------
    message : str
    *options : str
        Names of the fields; a command line adds what they are called there.
    """

    def __init__(self, message: str, *options: str) -> None:
        super().__init__(message)
        self.options = options


class MissingFileError(InputError):
    """There is no file of this name."""


class TooLargeError(InputError):
    """An image with more voxels than are read without being told to.

    Parameters
    ----------
    message : str
    voxels : int
        What the limit would have to be.
    """

    def __init__(self, message: str, voxels: int) -> None:
        super().__init__(message)
        self.voxels = voxels


class GeometryError(InputError):
    """A grid whose affine, spacing or shape makes no sense or does not fit another one."""


class OtherGridError(GeometryError):
    """Labels that lie on another grid than their image; they can be resampled onto it."""


class ModelError(SamriError):
    """A model or checkpoint that is unknown, unreadable, unsafe or of another architecture."""


class DownloadError(ModelError):
    """A checkpoint that could not be fetched, or whose digest is not the expected one."""


class StoreError(SamriError, OSError):
    """A file or folder that could not be written; what was there before is still there."""


class Cancelled(SamriError):  # noqa: N818  # a request that was granted, not a failure
    """Long work was stopped because the user asked for it."""


class InputWarning(UserWarning):
    """Something about an input was mended or assumed; the text says what."""
