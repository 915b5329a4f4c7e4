"""The tasks, one function each; its docstring's first line is its line of help."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Callable, Sequence

from tools import chromium, lab, testing
from tools.clean import clean
from tools.process import ROOT, call, notebook_environment, serve
from tools.set_up import Environment, SetUpError

# What `lab` and `test` both set up, so that the second of them finds all in place.
BASE = ("lab", "test")
# The chapter that stands for the others in a browser: what moves a picture is the same for all of them.
SHORTEST = "00"

TASKS: dict[str, Callable[[Sequence[str]], int]] = {}


def task(function: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    """Enter a function under its name, less a trailing underscore, into TASKS."""
    TASKS[function.__name__.rstrip("_")] = function
    return function


@task
def lab_(arguments: Sequence[str]) -> int:
    """open JupyterLab on the chapters, to learn or to read; options go to it (--port 9999); Ctrl-C stops it"""
    python = Environment().ensure(BASE)
    display = lab.has_display(os.environ, sys.platform)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if not display:
        print("No display here: open the address below in a browser, its token included.", flush=True)
    if not lab.names_port(arguments) and (port := lab.free_port()) != lab.PORT:
        print(f"Port {lab.PORT} is taken, by another JupyterLab perhaps: this one is at port {port}.", flush=True)
        arguments = [f"--ServerApp.port={port}", *arguments]
    call([python, "-m", "tools.student", "--quiet"])  # the page that opens leads to them
    return serve(lab.command(python, ROOT, arguments, display=display, root=root))


@task
def student(arguments: Sequence[str]) -> int:
    """make copies of the chapters to work in, in student/; your work stays (--fresh 01 begins again beside it)"""
    return call([Environment().ensure(BASE), "-m", "tools.student", *arguments])


@task
def test(arguments: Sequence[str]) -> int:
    """lint, test the package, execute every notebook against its stored outputs; options go to pytest"""
    return testing.run(Environment().ensure(BASE), arguments)


@task
def book(arguments: Sequence[str]) -> int:
    """build the book, a site that needs no network, in build/book/html"""
    return call([Environment().ensure((*BASE, "book")), "-m", "tools.book", *arguments])


@task
def slides(arguments: Sequence[str]) -> int:
    """build a deck of slides of each chapter, which needs no network, in build/slides"""
    return call([Environment().ensure((*BASE, "book")), "-m", "tools.slides", *arguments])


@task
def browser(arguments: Sequence[str]) -> int:
    """build book and slides, read them and a chapter in a real Chromium; --all every chapter, --no-skip needs one"""
    folder = ROOT / "tests" / "browser"
    options = [argument for argument in arguments if argument not in ("--no-skip", "--all")]
    chapters = [] if "--all" in arguments else [SHORTEST]
    python = Environment().ensure((*BASE, "book", "browser"))
    for site in ("tools.book", "tools.slides"):
        if failed := call([python, "-m", site, *chapters]):
            return failed
    if chromium.find() is None:
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("test_*.py"))]
        names = [getattr(node, "name", "") for tree in trees for node in ast.walk(tree)]
        count = sum(name.startswith("test_") for name in names)
        print(f"browser: {count} tests skipped: no Chromium here (the variable CHROMIUM names one)", flush=True)
        return int("--no-skip" in arguments)
    variables = {"HELPERS_CHAPTERS": " ".join(chapters)}
    if "--no-skip" in arguments:
        variables["HELPERS_BROWSER"] = "required"
    side_by_side = ["-n", "2", "--dist", "loadfile"]  # JupyterLab, book and slides do not meet
    command = [python, "-m", "pytest", "-q", *side_by_side, *options, folder]
    return call(command, env=notebook_environment(**variables))


@task
def steady(arguments: Sequence[str]) -> int:
    """hold the notebooks' printed numbers against the stored ones under two instruction sets of the processor"""
    return testing.steady(Environment().ensure(BASE), arguments)


@task
def refresh(arguments: Sequence[str]) -> int:
    """execute the notebooks and store their outputs; names choose some (refresh 01)"""
    return call([Environment().ensure(BASE), "-m", "tools.refresh", *arguments])


@task
def bench(arguments: Sequence[str]) -> int:
    """measure the solvers side by side with their peers, into bench/RESULTS.md (--print leaves it as it is)"""
    try:
        python = Environment().ensure((*BASE, "bench"))
    except SetUpError as error:
        print(f"{error}\nThe peers that are not here are left out.", file=sys.stderr)
        python = Environment().ensure(BASE)
    return call([python, "-m", "bench", *arguments])


@task
def experiments(arguments: Sequence[str]) -> int:
    """measure the stored tables again; names choose some (experiments robustness), --stale those whose code changed"""
    return call([Environment().ensure(BASE), "-m", "experiments", *arguments], env=notebook_environment())


@task
def lock(arguments: Sequence[str]) -> int:
    """rewrite constraints.txt from pyproject.toml; --upgrade moves every version to the newest"""
    return call([sys.executable, "-m", "tools.lock", *arguments])


@task
def clean_(arguments: Sequence[str]) -> int:
    """remove build products and caches, nothing that git tracks; with --all .venv as well"""
    if unknown := set(arguments) - {"--all"}:
        print(f"clean knows only --all; given: {' '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    for path in clean(environment="--all" in arguments):
        print(f"removed {path.relative_to(ROOT)}")
    return 0


def usage() -> str:
    """The tasks, a line each."""
    lines = [f"  {name:<11} {(function.__doc__ or '').splitlines()[0]}" for name, function in TASKS.items()]
    return "\n".join(["make TASK, or without make: python run.py TASK", "", *lines])


def main(arguments: Sequence[str]) -> int:
    """Run the task that the first argument names; the others are the task's own.

    Returns:
        The exit status: the task's, 1 when the environment cannot be made, 2 for an unknown task.
    """
    if not arguments or arguments[0] in ("help", "-h", "--help"):
        print(usage())
        return 0
    name, *options = arguments
    if name not in TASKS:
        print(f"There is no task {name!r}. The tasks are: {', '.join(TASKS)}.", file=sys.stderr)
        return 2
    try:
        return TASKS[name](options)
    except SetUpError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
