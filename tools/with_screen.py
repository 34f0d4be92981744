"""Run a command on the screen that is there, or on a virtual one (Linux)."""

from __future__ import annotations

import os
import subprocess
import sys


def main(command: list[str]) -> int:
    """Run the command; return its exit code."""
    environment = dict(os.environ)
    if sys.platform.startswith("linux"):
        # Always a virtual screen: windows of tests would disturb the person at a real one.
        environment["QT_QPA_PLATFORM"] = "xcb"
        command = ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24", *command]
    return subprocess.run(command, check=False, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
