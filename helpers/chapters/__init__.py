"""What belongs to one chapter alone, a folder each: its pictures, their numerics, its exercises.

Nothing imports a chapter but its notebook and its tests. A chapter is added by adding its notebook and its folder.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@cache
def written() -> dict[int, str]:
    """The chapters that are whole, number → file name: the notebooks that do not call themselves drafts."""
    numbered = {int(path.name[:2]): path for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))}
    return {number: path.name for number, path in numbered.items() if not is_draft(path)}


def is_draft(path: Path) -> bool:
    """Whether a notebook says of itself that it is not whole: ``"helpers": {"draft": true}`` in its metadata."""
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    return bool(metadata.get("helpers", {}).get("draft"))
