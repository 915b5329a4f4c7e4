"""The page that says what was built, from what, and how long it took."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

from tools.process import ROOT

if TYPE_CHECKING:
    from tools.book.execution import Executed

PACKAGES = ["torch", "torchdiffeq", "numpy", "matplotlib", "scikit-learn", "ipywidgets", "jupyterlab", "sphinx"]

TEMPLATE = ROOT / "book" / "templates" / "status.md"


def status(chapters: Sequence[Executed]) -> str:
    """The page as Markdown."""
    return TEMPLATE.read_text(encoding="utf-8").format(
        cores=os.cpu_count(),
        rows="\n".join(_row(chapter) for chapter in chapters if chapter.seconds),
        date=datetime.date.today().isoformat(),
        python=platform.python_version(),
        versions="\n".join(f"| {name} | {version(name)} |" for name in PACKAGES),
    )


def _row(chapter: Executed) -> str:
    outputs = (o for cell in chapter.notebook.cells if cell.cell_type == "code" for o in cell.outputs)
    pages = [text for o in outputs if 'class="explorer-still"' in (text := o.get("data", {}).get("text/html", ""))]
    size = sum(len(text.encode()) for text in pages) / 1e6
    link = f"[{chapter.title}](../notebooks/{chapter.path.name})"
    seconds = f"{sum(chapter.seconds.values()):.0f} | {chapter.drawing:.0f}"
    return f"| {link} | {seconds} | {len(chapter.claims)} | {len(pages)} | {size:.1f} MB |"
