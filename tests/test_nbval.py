"""The test of the test: notebooks that are broken on purpose fail under the flags with which all are run."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from conftest import CloseText, text_within_tolerance
from tests.contract import Chapter, every_cell_was_run_in_order
from tools.process import ROOT, notebook_environment
from tools.refresh import clean, execute
from tools.testing import comparison

SET_UP = """import numpy as np
from matplotlib.figure import Figure
from helpers.lesson import Explorer, Slider, claim, show
x = np.linspace(0, 1)"""
NUMBER = "print(f'slope {np.polyfit(x, 2 * x, 1)[0]:.4g}')"
CLAIM = "claim('7.1', 'It is small', source='nobody', measured=x.max(), at_most=1)"
FIGURE = """figure = Figure((2, 2))
figure.subplots().plot(x, x)
show(figure, 'A line')"""
EXPLORER = """def build(figure):
    (line,) = figure.subplots().plot(x, x)
    def update(k):
        line.set_ydata(x**k * (1 / (9 - k)))
    return update
Explorer(build, Slider('k', label='k', min=1, max=8, start=3), name='07-powers', alt='k = {k}',
look_for='Look.', size=(2, 2))"""
LOSS = "print('loss 0.3660 after 100 steps')"
ACCURACY = "print('accuracy 0.03 on 360 images')"


def notebook():
    cells = [new_code_cell(source) for source in (SET_UP, NUMBER, CLAIM, FIGURE, EXPLORER, LOSS, ACCURACY)]
    cells[-2].metadata.tags, cells[-1].metadata.tags = ["numbers-close"], ["numbers-within-0.02"]
    return new_notebook(cells=cells)


def code(cell: int, old: str, new: str) -> Callable:
    def change(nb):
        assert old in nb.cells[cell].source
        nb.cells[cell].source = nb.cells[cell].source.replace(old, new)

    return change


def printed(cell: int, old: str, new: str) -> Callable:
    def change(nb):
        assert old in nb.cells[cell].outputs[0].text
        nb.cells[cell].outputs[0].text = nb.cells[cell].outputs[0].text.replace(old, new)

    return change


def cleared(nb):
    nb.cells[1].outputs = []


# what is changed in the stored notebook, and the cell that must fail for it; None: it must pass
MUTANTS = {
    "as_stored": (lambda nb: None, None),
    "within_the_tolerance": (printed(5, "0.3660", "0.3690"), None),
    "beyond_the_tolerance": (printed(5, "0.3660", "0.3760"), 5),
    "another_whole_number": (printed(5, "100", "101"), 5),
    "within_the_stated_tolerance": (printed(6, "0.03", "0.04"), None),
    "beyond_the_stated_tolerance": (printed(6, "0.03", "0.06"), 6),
    "another_count": (printed(6, "360", "361"), 6),
    "another_number": (printed(1, "slope 2", "slope 2.001"), 1),
    "another_result": (code(1, "2 * x", "3 * x"), 1),
    "cleared_output": (cleared, 1),
    "exception": (code(3, "subplots()", "subplot()"), 3),
    "exception_at_the_end_of_a_slider": (code(4, "max=8", "max=9"), 4),
    "failing_claim": (code(2, "x.max()", "x.max() + 1"), 2),
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory):
    """Run every mutant in one pytest, under the flags of `make test`; the cells that failed, by mutant."""
    folder, records = tmp_path_factory.mktemp("mutants"), tmp_path_factory.mktemp("records")
    stored = notebook()
    execute(stored, folder)
    clean(stored)
    for name, (change, _) in MUTANTS.items():
        mutant = copy.deepcopy(stored)
        change(mutant)
        nbformat.write(mutant, folder / f"{name}.ipynb")
    # conftest.py and the settings are those of the repository, wherever the notebooks are
    command = [sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "conftest", "--color=no"]
    command += ["-rA", *comparison("linux"), str(folder)]
    env = notebook_environment(HELPERS_DRIVE="1", HELPERS_BUILD=str(records), PYTHONPATH=str(ROOT))
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    verdicts = re.findall(r"^(PASSED|FAILED) \S*?(\w+)\.ipynb::Cell (\d+)", done.stdout, flags=re.M)
    assert len(verdicts) == len(MUTANTS) * len(stored.cells), done.stdout + done.stderr
    return {name: [int(cell) for how, stem, cell in verdicts if (how, stem) == ("FAILED", name)] for name in MUTANTS}


@pytest.mark.parametrize("name", MUTANTS)
def test_what_is_broken_fails_and_nothing_else(name, failures):
    cell = MUTANTS[name][1]
    assert failures[name] == ([] if cell is None else [cell])


def test_a_cell_that_was_not_run_is_found_by_the_contract(tmp_path):
    """nbval compares nothing in such a cell."""
    nb = notebook()
    for count, cell in enumerate(nb.cells, 1):
        cell.execution_count = count
    nbformat.write(nb, tmp_path / "07_run.ipynb")
    nb.cells[2].execution_count = None
    nbformat.write(nb, tmp_path / "07_not_run.ipynb")
    assert not list(every_cell_was_run_in_order(Chapter.read(tmp_path / "07_run.ipynb")))
    assert list(every_cell_was_run_in_order(Chapter.read(tmp_path / "07_not_run.ipynb")))


def test_every_notebook_is_collected_whole():
    folder = ROOT / "notebooks"
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *comparison("linux"), "-n", "0"]
    command += [str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    collected = re.findall(r"^\S*?(\w+)\.ipynb::Cell \d+", done.stdout, flags=re.M)
    code_cells = {path.stem: len(Chapter.read(path).code) for path in folder.glob("*.ipynb")}
    assert code_cells and {name: collected.count(name) for name in collected} == code_cells, done.stdout


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        ("loss 0.3660", "loss 0.3690", True),
        ("loss 0.3660", "loss 0.3760", False),
        ("loss 0.366, 3 seeds", "loss 0.366, 4 seeds", False),
        ("loss 0.366", "error 0.366", False),
        ("1e-9 and 2.0", "2e-9 and 2.01", True),
        ("loss 0.366", "loss 0.366 0.366", False),
        ("nan", "0.5", False),
        ("-0.366", "0.366", False),
    ],
)
def test_what_counts_as_close(a, b, equal):
    assert (CloseText(a) == b) is equal and (CloseText(a) != b) is not equal


def test_a_cell_states_its_tolerance():
    assert text_within_tolerance("0.30", []) != "0.31"
    assert text_within_tolerance("0.30", ["check", "numbers-within-0.02"]) == "0.31"
    assert text_within_tolerance("0.30", ["numbers-within-0.02"]) != "0.33"
    assert text_within_tolerance("0.300", ["numbers-close"]) == "0.302"
    for tag in ("numbers-within-1", "numbers-within-0", "numbers-within-", "numbers-within-nan"):
        with pytest.raises(ValueError):
            text_within_tolerance("0.30", [tag])


def test_rules_of_the_comparison_are_pairs():
    lines = (ROOT / "tests" / "nbval.cfg").read_text(encoding="utf-8").splitlines()
    kinds = [line.split(":")[0] for line in lines if line.startswith(("regex:", "replace:"))]
    assert kinds == ["regex", "replace"] * (len(kinds) // 2) and len(kinds) >= 2
    assert Path(ROOT / comparison("linux")[comparison("linux").index("--nbval-sanitize-with") + 1]).exists()
