"""What pytest does differently in this repository, for the tests and for the notebooks.

A cell tagged ``numbers-close`` is compared by nbval within a tolerance. Two outputs of it are equal if they
differ in decimal numbers alone, and in those by at most `RTOL` of their size; words and whole numbers are
compared to the letter. nbval knows no tolerance, and a float32 training ends with other third digits on
another processor.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest

TAG, RTOL, ATOL = "numbers-close", 1e-2, 1e-6
NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?|\b(?:nan|inf)\b")


class CloseText(str):
    """Text that equals another if only its decimal numbers differ, and those little."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        pairs = zip(NUMBER.findall(self), NUMBER.findall(other), strict=False)
        return _words(self) == _words(other) and all(_close(a, b) for a, b in pairs)

    def __ne__(self, other):
        return not self == other


def _words(text: str) -> str:
    return " ".join(NUMBER.sub("#", text).split())


def _close(a: str, b: str) -> bool:
    if a.lstrip("+-").isdigit() and b.lstrip("+-").isdigit():
        return int(a) == int(b)
    return math.isclose(float(a), float(b), rel_tol=RTOL, abs_tol=ATOL)


def pytest_configure(config):
    """Give nbval's cells the tolerance."""
    if not config.pluginmanager.hasplugin("nbval"):
        return
    from nbval.plugin import IPyNbCell

    to_the_letter = IPyNbCell.sanitize

    def sanitize(self, text):
        text = to_the_letter(self, text)
        tagged = TAG in self.cell.metadata.get("tags", [])
        return CloseText(text) if tagged and isinstance(text, str) else text

    IPyNbCell.sanitize = sanitize


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
