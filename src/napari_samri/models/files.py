"""Checkpoints as files: fetched once, checked, and kept in a folder that people can fill by hand.

A download goes to a temporary file, its digest is checked, and only then is it moved into place
(pooch does all three). A file that is already there is never overwritten. What is opened by path
has to be there, whole, and no pipe or device, whose end never comes.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_samri.atomic import replacing
from napari_samri.codec import matches_digest, read_bytes, shown
from napari_samri.errors import DownloadError, InputError, MissingFileError, ModelError, StoreError
from napari_samri.places import user_folder

if TYPE_CHECKING:
    from napari_samri.models.catalogue import Download, ModelSpec


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_file(path: Path, expected: str) -> None:
    """Refuse what is no ordinary file, without opening it; links are followed.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it is a folder, a pipe, a socket or a device, or its name can be no file's.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        message = f"{path}: there is no such file; expected {expected}."
        raise MissingFileError(message) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        message = f"{str(path)!r}: cannot be read ({reason}); expected {expected}."
        raise InputError(message) from error
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "no ordinary file")
        message = f"{path}: is {kind}; expected {expected}."
        raise InputError(message)


def check_digest(path: Path) -> None:
    """Refuse a safetensors file whose bytes are not those that the digest in it is of.

    Files without one, of other programs and of earlier versions, pass.

    Raises
    ------
    ModelError
    """
    try:
        matches = matches_digest(path)
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or error})."
        raise ModelError(message) from error
    if matches is False:
        message = (
            f"{path}: damaged or altered: the digest (sha256) of its bytes is not the one that "
            "was written with them. Get the file again from where it came from, or train it again."
        )
        raise ModelError(message)


# Called with (bytes done, bytes in all or 0); raises `Cancelled` to stop.
ProgressCallback = Callable[[int, int], None]
MODELS_VARIABLE = "NAPARI_SAMRI_MODELS"
_CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30
_PIN_BYTES = 1000
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


def models_dir() -> Path:
    """Return the folder that checkpoints are kept in; it may not exist yet.

    The environment variable ``NAPARI_SAMRI_MODELS`` overrides the user's data folder.
    """
    folder = user_folder("data", MODELS_VARIABLE)
    return folder if os.environ.get(MODELS_VARIABLE) else folder / "models"


def local_path(spec: ModelSpec) -> Path | None:
    """Return a model's file if it is in the models folder, unchecked; else None."""
    if spec.path is not None:
        return Path(spec.path)
    if spec.download is None:
        return None
    path = models_dir() / spec.download.filename
    return path if path.is_file() else None


def fetch(spec: ModelSpec, progress: ProgressCallback | None = None) -> Path:
    """Return a model's checkpoint, downloading it if need be.

    Parameters
    ----------
    spec : ModelSpec
    progress : callable, optional
        Called with (bytes done, bytes in all); raising `Cancelled` in it stops the download.

    Raises
    ------
    DownloadError
        If the file is neither there nor to be had (the message says which file to put
        where), or if its digest is wrong.
    InputError
        If a folder, a pipe or a device has the file's name.
    StoreError
        If the models folder cannot be written.
    """
    download = spec.download
    if download is None:
        message = f"the model '{spec.id}' has no file to download."
        raise ModelError(message)
    path = models_dir() / download.filename
    if path.exists():
        check_file(path, f"the checkpoint of {spec.title}")
        _check_existing(path, download)
        return path
    if download.url is None:
        raise DownloadError(_by_hand(spec, download, "it has to be downloaded by hand"))
    _retrieve(spec, download, download.url, progress)
    _check_existing(path, download)
    return path


def _retrieve(
    spec: ModelSpec, download: Download, url: str, progress: ProgressCallback | None
) -> None:
    import pooch
    import requests

    # Its advice on hashes is meant for programmers; what users need is in our own messages.
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(
            url,
            known_hash=download.digest,
            fname=download.filename,
            path=models_dir(),
            downloader=_Downloader(download.size, progress),
        )
    except requests.RequestException as error:
        reason = f"{url} cannot be reached ({type(error).__name__})"
        raise DownloadError(_by_hand(spec, download, reason)) from error
    except ValueError as error:
        reason = f"the file at {url} is not the expected one ({_first_line(error)})"
        raise DownloadError(_by_hand(spec, download, reason)) from error
    except OSError as error:
        message = (
            f"{models_dir()}: the checkpoint {download.filename} cannot be saved "
            f"({error.strerror or error}). Make room or make the folder writable, or set "
            f"{MODELS_VARIABLE} to another one."
        )
        raise StoreError(message) from error


def _check_existing(path: Path, download: Download) -> None:
    """Compare a file with its published digest or, if there is none, with that of its first use."""
    import pooch

    pin = path.with_name(f"{path.name}.sha256")
    if download.digest is None and not pin.exists():
        _write_pin(pin, pooch.file_hash(str(path)))
        return
    algorithm, expected = (download.digest or f"sha256:{_read_pin(pin)}").split(":")
    found = pooch.file_hash(str(path), alg=algorithm)
    if found != expected.lower():
        origin = "the published file" if download.digest else f"the file first used ({pin.name})"
        message = (
            f"{path}: the {algorithm} digest is {found}, but {origin} has "
            f"{expected}. The file is incomplete or another one; it was left as it is. Move "
            "it away to download it again, or pass its path to use it all the same."
        )
        raise DownloadError(message)


def _read_pin(pin: Path) -> str:
    """Return the digest that a file had when it was first used, as hexadecimal digits."""
    try:
        found = read_bytes(pin, _PIN_BYTES).decode("ascii", "backslashreplace").strip()
    except InputError as error:
        raise DownloadError(str(error)) from error
    if not _DIGEST.fullmatch(found):
        message = (
            f"{pin}: remembers the digest of the file beside it, but is damaged: it holds "
            f"{shown(found)}; expected 64 hexadecimal digits. If you trust the file, delete this "
            "one, and the digest is noted anew."
        )
        raise DownloadError(message)
    return found


def _write_pin(pin: Path, digest: str) -> None:
    """Remember a digest that nobody publishes; a folder that is read-only goes without."""
    with suppress(StoreError), replacing(pin, durable=True) as temporary:
        temporary.write_text(f"{digest}\n")


def _by_hand(spec: ModelSpec, download: Download, reason: str) -> str:
    source = download.url or download.page or "its publisher"
    digest = f" (digest {download.digest})" if download.digest else ""
    return (
        f"the checkpoint of {spec.title} is not on this machine, and {reason}. Get "
        f"{download.filename} from {source}{digest} and put it at "
        f"{models_dir() / download.filename}, or pass the path of a checkpoint."
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


@dataclass(frozen=True)
class _Downloader:
    """What pooch calls to fill its temporary file.

    Its own one leaves the connection open if the transfer is cut off or cancelled, and counts
    chunks, not bytes.
    """

    size: int | None
    progress: ProgressCallback | None

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        import requests

        whole = {"Accept-Encoding": "identity"}  # so that the bytes that come can be counted
        with (
            requests.get(url, stream=True, timeout=_TIMEOUT_SECONDS, headers=whole) as response,
            Path(output_file).open("wb") as file,
        ):
            response.raise_for_status()
            total = int(response.headers.get("Content-Length") or self.size or 0)
            done = 0
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                if self.progress:
                    self.progress(done, total)
