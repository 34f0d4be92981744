"""Make sure that the system libraries which Qt needs are there: install them, or say how.

As root on a system with apt they are installed. Elsewhere the exact command is printed, and the
exit code is 1, so that a GUI test is never skipped in silence. Without a Linux system there is
nothing to do.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

PACKAGES = {
    "xvfb": "Xvfb",
    "xauth": "xauth",
    "libegl1": "libEGL.so.1",
    "libgl1": "libGL.so.1",
    "libfontconfig1": "libfontconfig.so.1",
    "libglib2.0-0": "libglib-2.0.so.0",
    "libdbus-1-3": "libdbus-1.so.3",
    "libxkbcommon-x11-0": "libxkbcommon-x11.so.0",
    "libxcb-cursor0": "libxcb-cursor.so.0",
    "libxcb-icccm4": "libxcb-icccm.so.4",
    "libxcb-keysyms1": "libxcb-keysyms.so.1",
    "libxcb-shape0": "libxcb-shape.so.0",
    "libxcb-xinerama0": "libxcb-xinerama.so.0",  # PyQt5, which napari[all] means up to 0.6
}


def is_there(need: str) -> bool:
    """Tell whether a program is on the path, or a shared library can be loaded."""
    if ".so" not in need:
        return shutil.which(need) is not None
    try:
        ctypes.CDLL(need)
    except OSError:
        return False
    return True


def missing() -> list[str]:
    """Return the Debian packages whose content is not there."""
    return [package for package, need in PACKAGES.items() if not is_there(need)]


def main() -> int:
    """Install what is missing, or print the command that would."""
    if not sys.platform.startswith("linux") or not (packages := missing()):
        return 0
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if shutil.which("apt-get") and os.geteuid() == 0:
        print(f"installing system libraries: {' '.join(packages)}", flush=True)
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], check=True, env=quiet)
        subprocess.run(install, check=True, env=quiet)
        packages = missing()
        if not packages:
            return 0
    print(
        f"Qt needs system libraries that are missing: {', '.join(packages)}. On Debian or "
        f"Ubuntu, type:\n    sudo apt-get update && sudo {' '.join(install)}\nand run this again.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
