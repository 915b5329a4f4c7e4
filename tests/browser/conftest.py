"""A JupyterLab of its own and a headless Chromium for the tests that behave like a reader."""

from __future__ import annotations

import os

import nbformat
import pytest

from tests.browser.visit import visited
from tools import browsing
from tools.chromium import find
from tools.process import ROOT

REQUIRED = os.environ.get("HELPERS_BROWSER") == "required"
# An explorer with every kind of control and a point in the plane.
CONTROLS = [
    "from helpers.lesson import Choice, Explorer, Slider, Toggle",
    """def build(figure):
    ax = figure.subplots()
    ax.set(xlim=(-2, 2), ylim=(-2, 2))
    (dot,) = ax.plot([0], [0], "o")
    (line,) = ax.plot([-2, 2], [0, 0])
    def update(x, y, colour, dashed):
        dot.set_data([x], [y])
        line.set(color=colour, linestyle="--" if dashed else "-")
        return [dot, line]
    return update
Explorer(
    build,
    Slider("x", label="across", min=-2, max=2, step=0.1, start=0, grid=3),
    Slider("y", label="up", min=-2, max=2, step=0.1, start=0, grid=3),
    Choice("colour", label="colour", options=["red", "green", "blue"], start="red"),
    Toggle("dashed", label="dashed", start=False),
    name="00-controls", point=("x", "y"), look_for="The dot.",
    alt="A dot at {x}, {y} and a {colour} line, dashed: {dashed}",
)""",
]
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
# Training that takes longer than any test waits, and a claim after it.
TRAINING = [
    """import os
import torch
from helpers.lesson import claim
from helpers.training import fit, runs
os.environ["TQDM_DISABLE"] = str(0)""",
    """data = torch.randn(64, 2), torch.zeros(64, dtype=torch.long)
models = {n: fit(lambda: torch.nn.Linear(2, 2), data, epochs=10**7, device="cpu").model for n in runs((4, 8, 16))}""",
    'claim("0.1", "It is trained", source="nobody", measured=1, at_most=1)',
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
def notebooks():
    """What is opened in JupyterLab, by file name: the chapters visited, without their outputs, and some of our own."""
    paths = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb") if visited(path.name))
    chapters = {path.name: browsing.fresh(nbformat.read(path, as_version=4)) for path in paths}
    ours = {"controls": CONTROLS, "trouble": TROUBLE, "training": TRAINING}
    ours["kernel"] = [*CONTROLS, "import os; os.getpid()"]
    return {**{f"{name}.ipynb": browsing.fresh(cells) for name, cells in ours.items()}, **chapters}


@pytest.fixture(scope="session")
def lab(tmp_path_factory, notebooks):
    """The address of a JupyterLab on these notebooks, with settings not the user's own."""
    with browsing.jupyterlab(tmp_path_factory.mktemp("jupyter"), notebooks) as address:
        yield address
