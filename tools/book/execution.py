"""Execute a chapter for a page without a kernel, once, and remember what came out."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.chapters import choose
from tools.process import ROOT
from tools.refresh import execute, write

BUILD = ROOT / "build" / "book"
AT_ONCE = 2  # a kernel uses one thread, and half a gigabyte


@dataclass(frozen=True)
class Executed:
    """A chapter after its run."""

    path: Path  # of the chapter in the repository
    notebook: NotebookNode  # with its outputs
    seconds: dict[str, float]  # of each code cell, by its id, as a reader runs it; empty where it was not run
    drawing: float  # seconds more, for the pictures of explorers that only a page without a kernel needs
    claims: list[dict]  # the records, in the order of their numbers

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def title(self) -> str:
        """The heading of its first cell."""
        return self.notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def collect(names: Sequence[str] = ()) -> list[Executed]:
    """All chapters, in their order: those chosen are executed, two at once, where something has changed; the others are
    taken as they are stored.

    Args:
        names: of the chapters to execute, as `tools.refresh.choose` takes them; none means all.

    Raises:
        ValueError: a name fits no chapter.
        CellExecutionError, CellTimeoutError, DeadKernelError: as `executed`.
    """
    chosen = set(choose(names))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda path: executed(path) if path in chosen else stored(path), choose([])))


def stored(path: Path) -> Executed:
    """A chapter with the outputs that the repository has of it: an explorer is its first picture."""
    return Executed(path, nbformat.read(path, as_version=4), {}, 0.0, [])


def executed(path: Path, build: Path = BUILD) -> Executed:
    """One chapter, executed unless what it is made of is as it was when it was executed last.

    Args:
        path: the chapter.
        build: where outputs and records are kept.

    Raises:
        CellExecutionError, CellTimeoutError, DeadKernelError: as `tools.refresh.execute`; nothing is kept then.
    """
    kept, records = build / "executed" / path.name, build / "records" / path.stem
    notebook = nbformat.read(path, as_version=4)
    made_of = fingerprint(notebook)
    before = _read(kept)
    if before is None or before.metadata.get("made_of") != made_of:
        shutil.rmtree(records, ignore_errors=True)
        print(f"book: executing {path.name}", flush=True)
        seconds = execute(notebook, path.parent, HELPERS_STATIC="1", HELPERS_BUILD=str(records))
        drawing = drawn(notebook)
        own = {id: round(seconds[id] - drawing.get(id, 0), 3) for id in seconds}
        notebook.metadata.update(made_of=made_of, seconds=own, drawing=round(sum(drawing.values()), 3))
        kept.parent.mkdir(parents=True, exist_ok=True)
        write(nbformat.writes(notebook).encode(), kept)
    else:
        _take_over(before, notebook)
    claims = sorted(_records(records / "claims"), key=lambda record: [*map(int, record["id"].split("."))])
    return Executed(path, notebook, notebook.metadata["seconds"], notebook.metadata["drawing"], claims)


def drawn(notebook: NotebookNode) -> dict[str, float]:
    """Take out of the outputs how long their explorers' pictures took: seconds, by the cell's id."""
    found: dict[str, float] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            drawing = output.get("metadata", {}).get("text/html", {})
            found[cell.id] = found.get(cell.id, 0) + drawing.pop("seconds", 0)
    return found


def fingerprint(notebook: NotebookNode, root: Path = ROOT) -> str:
    """A hash of everything that decides what a chapter's outputs are: its cells, the package, tables, versions.

    Of the metadata only the tags do, some of which the kernel's client obeys; how a cell stands on a slide does not.
    """
    cells = [[cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in notebook.cells]
    digest = hashlib.sha256(json.dumps([cells, sys.version], sort_keys=True).encode())
    folders = (root / name for name in ("helpers", "experiments"))
    used = (path for folder in folders for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    for path in [root / "constraints.txt", *sorted(used)]:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _take_over(before: NotebookNode, notebook: NotebookNode) -> None:
    """Put what an earlier run left into a chapter with the same cells."""
    notebook.metadata.update(before.metadata)
    for cell, done in zip(notebook.cells, before.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = done.outputs, done.execution_count


def _read(path: Path) -> NotebookNode | None:
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError):  # never executed, or cut short
        return None


def _records(folder: Path) -> Iterator[dict]:
    for path in sorted(folder.glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))
