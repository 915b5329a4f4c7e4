"""The floors of `helpers`: which may import which, held over every import statement."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import helpers

HELPERS = Path(helpers.__file__).parent
FLOORS = re.findall(r"^(\w+)  +\w", helpers.__doc__, flags=re.M)  # from the top down, as the package tells them
# what begins with an underscore lies below the floors, and is all theirs
FILES = sorted(HELPERS.glob("*/**/*.py")) + sorted(HELPERS.glob("[!_]*.py"))
DRAWING = {"matplotlib", "anywidget", "ipywidgets", "IPython", "PIL"}


def floor_of(path: Path) -> str:
    """The room that a file lies in."""
    return path.relative_to(HELPERS).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, by their whole names, inside functions too."""
    package = ["helpers", *path.relative_to(HELPERS).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def test_the_package_tells_of_every_floor():
    assert set(FLOORS) == {floor_of(path) for path in FILES} and FLOORS[-1] == "solvers"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(HELPERS).as_posix())
def test_a_floor_imports_only_from_those_below(path):
    here = FLOORS.index(floor_of(path))
    within = [name.split(".") for name in imported(path) if name.startswith("helpers.") and "._" not in name]
    assert [name for name in within if FLOORS.index(name[1]) < here] == []
    if floor_of(path) == "chapters":
        others = [name for name in within if name[1] == "chapters" and name[2].startswith("ch")]
        assert [name for name in others if name[2] != path.parent.name] == [], "nothing imports another chapter"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.relative_to(HELPERS).as_posix())
def test_numerics_draw_nothing_and_a_lesson_knows_no_torch(path):
    packages = {name.split(".")[0] for name in imported(path)}
    if floor_of(path) in ("solvers", "layers", "data", "attacks"):
        assert not packages & DRAWING
    if floor_of(path) in ("lesson", "figures"):
        assert "torch" not in packages
