"""Rewrite constraints.txt: an exact version of every package, for every platform and Python of the project.

    python run.py lock              keep the versions there are, add what is new, drop what is gone
    python run.py lock --upgrade    move every version to the newest that the ranges allow

Versions that must not move are in pyproject.toml under [tool.uv]. The resolver, uv, gets its own environment
under build/, so that .venv stays as it is. Which index it asks is one of its settings, and stands in no file.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.process import ROOT, call
from tools.set_up import SetUpError, create

UV = "uv>=0.13,<1"
LOCK = ROOT / "constraints.txt"
# They belong to one build of torch; another build (CPU, ROCm, macOS) must be free to bring its own or none.
FOLLOWS_TORCH = re.compile(r"(nvidia|cuda)-|triton\b")
# "2.13.0+cpu" names a build that one index has; "2.13.0" admits it and every other
LOCAL_VERSION = re.compile(r"(==[^ ;+]+)\+[^ ;]+")


def portable(resolved: str) -> str:
    """The resolver's lines without what ties them to one machine.

    Args:
        resolved: requirements, a line each, as `uv pip compile` writes them.
    """
    lines = [line for line in resolved.splitlines() if line.strip() and not line.startswith(("#", "-"))]
    return "".join(LOCAL_VERSION.sub(r"\1", line) + "\n" for line in lines if not FOLLOWS_TORCH.match(line))


def uv() -> str | None:
    """The resolver, installed under build/ where it is not yet there; None when pip fails."""
    folder = ROOT / "build" / "lock"
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    if shutil.which("uv", path=str(scripts)) is None:
        create(folder)
        call([scripts / "python", "-m", "pip", "install", "--quiet", UV])
    return shutil.which("uv", path=str(scripts))


def main(arguments: Sequence[str]) -> int:
    """Resolve and rewrite the lock; it stays as it was when something fails."""
    try:
        resolver = uv()
    except SetUpError as error:
        print(error, file=sys.stderr)
        return 1
    if resolver is None:
        print(f"The lock is as it was: pip could not install {UV}, for the reason above.", file=sys.stderr)
        return 1
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = project["requires-python"].removeprefix(">=")
    with tempfile.TemporaryDirectory() as folder:
        resolved = Path(folder, "constraints.txt")
        if LOCK.exists():
            resolved.write_bytes(LOCK.read_bytes())  # uv keeps the versions that it finds in its output
        options = ["--all-extras", "--universal", "--python-version", oldest, "--no-header", "--no-annotate"]
        quiet = ["--no-emit-index-url", "--no-emit-find-links", "--quiet"]
        if call([resolver, "pip", "compile", "pyproject.toml", *options, *quiet, "-o", resolved, *arguments]):
            print("The lock is as it was: uv found no answer, for the reason above.", file=sys.stderr)
            return 1
        text = portable(resolved.read_text(encoding="utf-8"))
    LOCK.write_text(text, encoding="utf-8", newline="\n")
    print(f"constraints.txt: {len(text.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
