"""The project's own environment, .venv: made once, kept in step with the lock, mended when it was cut short.

A stamp inside .venv tells what is installed there. It is made of contents, not of file times, which git does
not keep. While pip works the stamp says "incomplete", and no later run takes half an environment for a whole.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from tools.process import ROOT, call

# What compiled packages are built for: Python and machine, as in ".cpython-311-x86_64-linux-gnu.so".
ABI = EXTENSION_SUFFIXES[0]
STAMP = "companion.json"


class SetUpError(Exception):
    """The environment cannot be made; the text is one line for the reader."""


class Environment:
    """The virtual environment of a checkout.

    Args:
        root: folder of the checkout, the one with pyproject.toml and constraints.txt.
    """

    def __init__(self, root: Path = ROOT):
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        self.stamp = self.folder / STAMP

    def ensure(self, extras: Iterable[str]) -> Path:
        """Make .venv hold the project with these extras, as the lock has them; return its Python.

        Extras of earlier calls stay. Nothing is run when all is in place.

        Args:
            extras: names of extras in pyproject.toml.

        Raises:
            SetUpError: there is no venv or ensurepip, pip failed, or .venv cannot be used or replaced.
        """
        extras = set(extras)
        if self._in_place(extras):
            return self.python
        with one_at_a_time(self.root / "build" / "set-up.lock"):
            # the one that was waited for may have left nothing to do
            if not self._in_place(extras):
                self._bring_in_step(extras)
        return self.python

    def _in_place(self, extras: set[str]) -> bool:
        found = self._read()
        return found == self._state({*extras, *found.get("extras", [])}) and self.python.exists()

    def _bring_in_step(self, extras: set[str]) -> None:
        found = self._read()
        wanted = self._state({*extras, *found.get("extras", [])})
        started = time.monotonic()
        if reason := self._reason_to_replace(found):
            create(self.folder)
            print(f"Setting up .venv ({reason}): minutes, if packages must be downloaded.", flush=True)
            wanted = self._state(extras)
        else:
            print("Bringing .venv in step with pyproject.toml and constraints.txt.", flush=True)
        self._install(wanted)
        print(f".venv is ready ({time.monotonic() - started:.0f} s).", flush=True)

    def _state(self, extras: Iterable[str]) -> dict:
        packages = hashlib.sha256()
        for name in ("pyproject.toml", "constraints.txt"):
            packages.update((self.root / name).read_bytes() + b"\0")
        return {
            "complete": True,
            "root": str(self.root),  # a virtual environment is full of absolute paths
            "python": ABI,
            "packages": packages.hexdigest(),
            "extras": sorted(set(extras)),
        }

    def _read(self) -> dict:
        try:
            return json.loads(self.stamp.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except ValueError:
            return {"complete": False}

    def _write(self, state: dict) -> None:
        self.stamp.write_text(json.dumps(state, indent=1) + "\n", encoding="utf-8")

    def _reason_to_replace(self, found: dict) -> str | None:
        """Why .venv must be made (anew), or None when pip can bring it in step."""
        if not self.folder.exists():
            return "there is none yet"
        if not found:
            # Somebody made it by hand. It is theirs: used if it can be, never deleted.
            if self._abi() != ABI:
                raise SetUpError(
                    f"{self.folder} was made by other means and does not work with this Python "
                    f"({sys.version.split()[0]}): move it away, then try again."
                )
            return None
        if not found["complete"]:
            return "the last set-up was cut short"
        if found["root"] != str(self.root):
            return "the checkout has moved"
        if found["python"] != ABI or not self.python.exists():
            return f"Python has changed to {sys.version.split()[0]}"
        return None

    def _abi(self) -> str | None:
        """The ABI of .venv's Python; None when that or its pip does not start."""
        question = "import pip; from importlib.machinery import EXTENSION_SUFFIXES as s; print(s[0])"
        command = [self.python, "-c", question]
        try:
            return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip()
        except (OSError, subprocess.CalledProcessError):
            return None

    def _install(self, wanted: dict) -> None:
        before = self.stamp.read_bytes() if self.stamp.exists() else None
        self._write({**wanted, "complete": False})
        project = f".[{','.join(wanted['extras'])}]"
        quiet = [] if sys.stdout.isatty() else ["--quiet"]
        pip = [self.python, "-m", "pip", "install", *quiet]
        locked = ["--editable", project, "--constraint", "constraints.txt"]
        if call([*pip, *locked], env={"PIP_DISABLE_PIP_VERSION_CHECK": "1", **os.environ}):
            # pip resolves and downloads before it changes anything: what was usable before still is
            if before is None:
                self.stamp.unlink()
            else:
                self.stamp.write_bytes(before)
            raise SetUpError(
                "Set-up failed: pip could not install the packages, for the reason above (no network? a full "
                "disk?). pip's own settings (pip.conf, PIP_PROXY) are honoured; the next run tries again."
            )
        self._write(wanted)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold a lock on a file, and wait for it where another process does; the system lets go when a process ends.

    `make lab` in one terminal and `make test` in the next would otherwise take each other's half-made environment for
    one that was cut short, and remove it.

    Raises:
        SetUpError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise SetUpError(f"Set-up failed: {path.parent} cannot be written ({error}).") from error
    with file:
        if not _locked(file):
            print("Another task is setting up .venv: waiting for it.", flush=True)
            while not _locked(file):
                time.sleep(0.2)
        yield


def _locked(file) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def create(folder: Path) -> None:
    """Make an empty virtual environment with pip, in place of whatever the folder holds.

    Args:
        folder: where; its file companion.json says "incomplete" from the first moment on.

    Raises:
        SetUpError: this Python comes without venv or ensurepip, as Debian's does, or the folder cannot be
            written.
    """
    no_venv = SetUpError(
        f"{sys.executable} has no working venv and ensurepip, so no environment can be made. On Debian or "
        "Ubuntu: apt install python3-venv (for another Python than the system's: "
        f"python{sys.version_info[0]}.{sys.version_info[1]}-venv), then try again."
    )
    if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        raise no_venv
    import venv

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STAMP).write_text(json.dumps({"complete": False}) + "\n", encoding="utf-8")
        for entry in folder.iterdir():  # all but the stamp, which must outlive an interruption here too
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != STAMP:
                entry.unlink()
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    except OSError as error:
        raise SetUpError(f"Set-up failed: {folder} cannot be written or replaced ({error}).") from error
    except subprocess.CalledProcessError as error:
        raise no_venv from error
