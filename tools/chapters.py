"""Which notebooks a task is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.process import ROOT

NOTEBOOKS = ROOT / "notebooks"


def choose(names: Sequence[str], folder: Path = NOTEBOOKS) -> list[Path]:
    """The notebooks that the arguments mean; all when there is no argument.

    Args:
        names: beginnings of names (`01`, `01_resnet_as_euler`), file names, or paths.
        folder: where the notebooks are.

    Raises:
        ValueError: a name fits no notebook.
    """
    there = sorted(folder.glob("*.ipynb"))
    chosen = []
    for name in names:
        fitting = [path for path in there if path.resolve() == Path(name).resolve()]
        fitting = fitting or [path for path in there if path.name.startswith(name)]
        if not fitting:
            known = ", ".join(path.stem for path in there) or "none"
            raise ValueError(f"there is no notebook {name!r}; those there are: {known}")
        chosen += fitting
    return sorted(set(chosen)) if names else there
