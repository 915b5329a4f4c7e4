"""What `test` runs: lint, then tests and notebooks together, then the checks over the notebooks' records."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.process import ROOT, call, notebook_environment

# --dist loadfile: a notebook's cells must stay together, in order
NBVAL = ["-n", "2", "--dist", "loadfile", "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval.cfg"]
TIMEOUT = ["--nbval-cell-timeout", "300"]


def comparison(platform: str) -> list[str]:
    """How the stored outputs are compared: to the letter on Linux, where they are made.

    Elsewhere other mathematical libraries may move a printed digit, so that there a notebook must run without
    an exception, its claims must hold, and only cells tagged `nbval-check-output` are compared.

    Args:
        platform: as `sys.platform` has it.
    """
    return ["--nbval" if platform == "linux" else "--nbval-lax", *NBVAL, *TIMEOUT]


def names_a_path(arguments: Sequence[str]) -> bool:
    """Whether one of pytest's arguments is a file or folder, or a test in one (`tests/test_x.py::test_y`)."""
    return any((ROOT / part.split("::")[0]).exists() for part in arguments if not part.startswith("-"))


def empty_records() -> None:
    """Remove the records of earlier runs, so that a claim no longer made cannot count as checked."""
    build = Path(os.environ.get("HELPERS_BUILD") or ROOT / "build")
    for folder in ("claims", "explorers"):
        shutil.rmtree(build / folder, ignore_errors=True)


def run(python: Path, arguments: Sequence[str]) -> int:
    """Run all steps, also after one has failed, as long as the next makes sense.

    Args:
        python: the interpreter of the environment.
        arguments: options for pytest. A run with options may be a part of the whole, so then lint and the
            checks over all records are left out.

    Returns:
        0 when every step passed, else 1.
    """
    started = time.monotonic()
    env = notebook_environment(HELPERS_DRIVE="1")
    pytest = [python, "-m", "pytest", "-q"]
    outcome = {}

    def step(name: str, command: Sequence[str | Path]) -> int:
        print(f"\n== {name}", flush=True)
        status = call(command, env=env)
        outcome[name] = "passed" if status == 0 else "FAILED"
        return status

    if not arguments:
        step("lint", [python, "-m", "ruff", "check", "."])
    empty_records()
    where = [] if names_a_path(arguments) else ["tests", "notebooks"]
    choice = ["-m", "not after_notebooks", *arguments, *where]
    status = step("tests and notebooks", [*pytest, *comparison(sys.platform), *choice])
    if arguments:
        outcome["lint, checks over all records"] = "left out, as pytest was given options"
    elif status in (0, 1):
        step("records", [*pytest, "-m", "after_notebooks", "tests"])
    else:
        outcome["records"] = "left out, as the notebooks did not all run"
    summary = "; ".join(f"{name}: {result}" for name, result in outcome.items())
    print(f"\n{summary} ({time.monotonic() - started:.0f} s)", flush=True)
    return int("FAILED" in outcome.values())
