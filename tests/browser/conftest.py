"""A JupyterLab of its own and a headless Chromium for the tests that behave like a reader."""

from __future__ import annotations

import os

import nbformat
import pytest

from tools import browsing
from tools.chromium import find
from tools.process import ROOT

REQUIRED = os.environ.get("HELPERS_BROWSER") == "required"
# An explorer that cannot draw one of its settings.
TROUBLE = [
    "from helpers.lesson import Explorer, Slider",
    """def build(figure):
    (line,) = figure.subplots().plot([0, 1], [0, 1])
    def update(n):
        line.set_ydata([0, 1 / (5 - n)])
    return update
Explorer(build, Slider("n", label="n", min=1, max=5, start=3), name="00-trouble", alt="n is {n}", look_for="-")""",
]


def missing(what: str) -> None:
    """A skip that is counted, or a failure where HELPERS_BROWSER=required says that nothing may be missing."""
    (pytest.fail if REQUIRED else pytest.skip)(f"{what} is missing")


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    try:
        import playwright  # noqa: F401
    except ModuleNotFoundError:
        missing("the package playwright")
    executable = find()
    if executable is None:
        missing("Chromium")
    with browsing.chromium(executable) as chromium:
        yield chromium


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The address of a JupyterLab on the notebooks without their outputs, with settings not the user's own."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    notebooks = {path.name: browsing.fresh(nbformat.read(path, as_version=4)) for path in paths}
    notebooks["trouble.ipynb"] = browsing.fresh(TROUBLE)
    with browsing.jupyterlab(tmp_path_factory.mktemp("jupyter"), notebooks) as address:
        yield address
