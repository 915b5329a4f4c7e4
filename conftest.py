"""What pytest does differently in this repository, for the tests and for the notebooks.

Some cells print what a training has ended with, whose last digits are another processor's. nbval knows no tolerance;
here a cell may state one by a tag: ``numbers-close`` allows every decimal number 1 % of its size,
``numbers-within-0.03`` allows it 0.03 (accuracies, where one image is 0.003). Words and whole numbers are compared to
the letter all the same.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import pytest

CLOSE, WITHIN = "numbers-close", "numbers-within-"
RTOL, ATOL = 1e-2, 1e-6
LARGEST = 0.05  # a wider tolerance would let another result pass
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?|\b(?:nan|inf)\b")


class CloseText(str):
    """Text that equals another if only its decimal numbers differ, and those little: by `rtol` of their size or by
    `atol`."""

    rtol, atol = RTOL, ATOL
    __hash__ = str.__hash__

    def __eq__(self, other):
        pairs = zip(NUMBER.findall(self), NUMBER.findall(other), strict=False)
        return _words(self) == _words(other) and all(self._close(a, b) for a, b in pairs)

    def __ne__(self, other):
        return not self == other

    def _close(self, a: str, b: str) -> bool:
        if a.lstrip("+-").isdigit() and b.lstrip("+-").isdigit():
            return int(a) == int(b)
        return math.isclose(float(a), float(b), rel_tol=self.rtol, abs_tol=self.atol)


def text_within_tolerance(text: str, tags: Sequence[str]) -> str:
    """The text of a cell with these tags, such that it equals what its tolerance allows.

    Raises:
        ValueError: A tag states a tolerance that is not a number in (0, LARGEST].
    """
    close = CloseText(text)
    for tag in tags:
        if tag == CLOSE:
            return close
        if tag.startswith(WITHIN):
            close.rtol, close.atol = 0.0, float(tag.removeprefix(WITHIN))
            if not 0 < close.atol <= LARGEST:
                raise ValueError(f"a tag {WITHIN}… must end in a positive number, at most {LARGEST}; got {tag!r}")
            return close
    return text


def _words(text: str) -> str:
    return " ".join(NUMBER.sub("#", text).split())


def pytest_configure(config):
    """Give nbval's cells the tolerance."""
    if not config.pluginmanager.hasplugin("nbval"):
        return
    from nbval.plugin import IPyNbCell

    to_the_letter = IPyNbCell.sanitize

    def sanitize(self, text):
        text = to_the_letter(self, text)
        return text_within_tolerance(text, self.cell.metadata.get("tags", [])) if isinstance(text, str) else text

    IPyNbCell.sanitize = sanitize


# Tests that take a minute and more: with the notebooks they come first, so that no worker is left with one of them.
LONG = ("test_experiments.py", "test_run.py", "test_bench.py", "test_nbval.py")


def pytest_collection_modifyitems(items):
    """The longest files first: the notebooks, those with most cells before, then the tests that take long."""
    length = Counter(item.path for item in items)

    def turn(item):
        path = item.path
        return (path.suffix != ".ipynb" and path.name not in LONG, -length[path] * (path.suffix == ".ipynb"), path.name)

    items.sort(key=turn)


@pytest.fixture
def run_python():
    """Run a line of Python in an interpreter of its own; returns what it prints."""

    def run(code: str) -> str:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return done.stdout

    return run


@pytest.fixture(autouse=True)
def as_a_reader_has_it(monkeypatch, tmp_path_factory, request):
    """A test (not a notebook's cell) finds no explorer driven, and leaves no record among the notebooks'."""
    if "after_notebooks" not in request.keywords:
        monkeypatch.delenv("HELPERS_DRIVE", raising=False)
        monkeypatch.delenv("TQDM_DISABLE", raising=False)
        monkeypatch.setenv("HELPERS_BUILD", str(tmp_path_factory.mktemp("build")))
