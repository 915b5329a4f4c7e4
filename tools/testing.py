"""What `test` runs: lint, then tests and notebooks together, then the checks over the notebooks' records."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tools.chapters import choose
from tools.process import ROOT, call, notebook_environment

# --dist loadfile: a notebook's cells must stay together, in order
# --no-loadscope-reorder: files start in the order of `conftest.py`, which has those first that take long
WORKERS = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
NBVAL = [*WORKERS, "--nbval-current-env", "--nbval-sanitize-with", "tests/nbval.cfg"]
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


def of_chapters(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What pytest is given for arguments that name chapters by their number ("01"): files, and what to choose of them.

    Returns:
        The notebooks with the tests of their pictures, exercises and stored form; the option that leaves out other
        chapters. Both are empty where an argument is something else, or nothing was given.

    Raises:
        ValueError: there is no chapter of this number.
    """
    if not arguments or not all(re.fullmatch(r"\d\d", name) for name in arguments):
        return [], []
    names = [path.stem for path in choose(arguments)]
    files = [f"notebooks/{name}.ipynb" for name in names]
    files += [f"tests/test_ch{name}.py" for name in names if (ROOT / f"tests/test_ch{name}.py").exists()]
    return [*files, "tests/test_notebooks.py", "tests/test_exercises.py"], ["-k", " or ".join(names)]


def empty_records() -> None:
    """Remove the records of earlier runs, so that a claim no longer made cannot count as checked."""
    build = Path(os.environ.get("HELPERS_BUILD") or ROOT / "build")
    for folder in ("claims", "explorers"):
        shutil.rmtree(build / folder, ignore_errors=True)


def run(python: Path, arguments: Sequence[str]) -> int:
    """Run all steps, also after one has failed, as long as the next makes sense.

    Args:
        python: the interpreter of the environment.
        arguments: numbers of chapters ("01"), which then run with their own tests and the checks over their records;
            or options for pytest. A run with options may be a part of the whole, so then lint and the checks over all
            records are left out.

    Returns:
        0 when every step passed, 2 for a chapter that is not there, else 1.
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

    try:
        files, chosen = of_chapters(arguments)
    except ValueError as error:
        print(f"test: {error}", file=sys.stderr)
        return 2
    if not arguments:
        step("lint", [python, "-m", "ruff", "check", "."])
    empty_records()
    where = [] if files or names_a_path(arguments) else ["tests", "notebooks"]
    options = [*chosen, *files] if files else arguments
    choice = ["-m", "not after_notebooks", *options, *where]
    status = step("tests and notebooks", [*pytest, *comparison(sys.platform), *choice])
    if arguments and not files:
        outcome["lint, checks over all records"] = "left out, as pytest was given options"
    elif status in (0, 1):
        step("records", [*pytest, "-m", "after_notebooks", *chosen, "tests/test_records.py"])
    else:
        outcome["records"] = "left out, as the notebooks did not all run"
    summary = "; ".join(f"{name}: {result}" for name, result in outcome.items())
    print(f"\n{summary} ({time.monotonic() - started:.0f} s)", flush=True)
    return int("FAILED" in outcome.values())


def steady(python: Path, arguments: Sequence[str]) -> int:
    """Execute the notebooks once for each of two instruction sets that torch can be held to, as another processor has.

    Args:
        python: the interpreter of the environment.
        arguments: beginnings of the names of notebooks; none means all.

    Returns:
        0 when every printed number held under both, 2 for a wrong name, else 1.
    """
    try:
        paths = choose(arguments)
    except ValueError as error:
        print(f"steady: {error}", file=sys.stderr)
        return 2
    outcome = {}
    for capability in ("default", "avx2"):
        print(f"\n== ATEN_CPU_CAPABILITY={capability}", flush=True)
        env = notebook_environment(ATEN_CPU_CAPABILITY=capability)
        outcome[capability] = call([python, "-m", "pytest", "-q", *comparison("linux"), *paths], env=env)
    return int(any(outcome.values()))
