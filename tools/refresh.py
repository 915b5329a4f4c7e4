"""Execute notebooks and store their outputs, the same bytes each time.

    python run.py refresh            all of them
    python run.py refresh 01         those whose names begin so; paths are understood too

What is random, timed or bound to one machine is left out: execution times, widget ids and states, the patch
version of Python. An output with such a trace in its text (an absolute path, a memory address) is refused.
A notebook that fails, or is refused, stays on disk as it was.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import nbclient
import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from tools.chapters import NOTEBOOKS, choose
from tools.process import ROOT, notebook_environment

CELL_SECONDS = 600
README_PICTURE, README_TAG = ROOT / "README.png", "readme"  # the README shows the picture of the cell so tagged
# One instruction set and order of summation, so that two machines draw the same pixels. `test` must not pin
# them: it shows that the printed digits hold without.
PINNED = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "MKL_NUM_THREADS": "1"}
# Without its kernel a widget shows as an error; what stays is the picture or text beside it.
WIDGET = "application/vnd.jupyter.widget-view+json"
CELL_TRACES = ("execution", "ExecuteTime", "collapsed", "scrolled", "trusted", "vscode")
NOTEBOOK_TRACES = ("widgets", "signature", "vscode", "toc-autonumbering")
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}

EMBEDDED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+")
TRACES = {
    "an absolute path": re.compile(
        r"(?<![\w./:-])/(?:home|Users|root|tmp|var|usr|opt|mnt|srv|private|work|workspace)/[^\s\"'<>]+"
        r"|\b[A-Za-z]:[\\/]+(?:Users|Windows|Program|Temp|a[\\/])[^\s\"'<>]*"
    ),
    "an address in memory": re.compile(r"\bat 0x[0-9a-fA-F]{6,16}\b"),
}


class Refused(Exception):
    """An output cannot be stored; the text names the cell and the reason."""


def execute(notebook: NotebookNode, folder: Path, **variables: str) -> dict[str, float]:
    """Run all cells in a fresh kernel, from the folder, and put their outputs into the notebook.

    Args:
        notebook: its outputs are replaced.
        folder: the kernel's working directory.
        variables: of the kernel's environment, beside or in place of those that make runs equal.

    Returns:
        The seconds that each code cell took, by the cell's id.

    Raises:
        CellExecutionError: a cell raised.
        CellTimeoutError: a cell ran longer than CELL_SECONDS.
        DeadKernelError: the kernel ended by itself.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    began, ended = {}, {}
    client = nbclient.NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        on_cell_execute=lambda cell, **_: began.update({cell.id: time.monotonic()}),
        on_cell_executed=lambda cell, **_: ended.update({cell.id: time.monotonic()}),
        resources={"metadata": {"path": str(folder)}},
    )
    # The reader's own IPython start-up files, and the records of a test run, stay out of it.
    with tempfile.TemporaryDirectory() as aside:
        client.execute(env=notebook_environment(**{**PINNED, "HELPERS_BUILD": aside, "IPYTHONDIR": aside, **variables}))
    return {id: ended[id] - began[id] for id in ended}


def clean(notebook: NotebookNode) -> None:
    """Drop what would differ in the next run, or on another machine, and is no part of the lesson."""
    for trace in NOTEBOOK_TRACES:
        notebook.metadata.pop(trace, None)
    notebook.metadata.update(kernelspec=KERNEL, language_info={"name": "python"})
    for cell in notebook.cells:
        for trace in CELL_TRACES:
            cell.metadata.pop(trace, None)
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)
            cell.outputs = streams_joined(output for output in cell.outputs if output.get("data") != {})


def streams_joined(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Between two other outputs one stream of each name, stdout first: how they were cut is chance."""
    joined: list[NotebookNode] = []
    streams: dict[str, NotebookNode] = {}
    for output in outputs:
        if output.output_type != "stream":
            streams = {}
            joined.append(output)
        elif output.name in streams:
            streams[output.name].text += output.text
        else:
            streams[output.name] = output
            behind_stderr = output.name == "stdout" and "stderr" in streams
            joined.insert(len(joined) - int(behind_stderr), output)
    return joined


def texts(output: NotebookNode) -> Iterator[str]:
    """What of an output can be read as text; pictures, also those inside HTML, are left out."""
    if output.output_type == "stream":
        yield output.text
    elif output.output_type == "error":
        yield "\n".join([output.evalue, *output.traceback])
    for kind, content in output.get("data", {}).items():
        if not kind.startswith("image/") or kind == "image/svg+xml":
            yield EMBEDDED.sub("", content if isinstance(content, str) else str(content))


def refuse_traces(notebook: NotebookNode) -> None:
    """Hold every output against TRACES.

    Raises:
        Refused: an output holds the trace of a machine or of one run.
    """
    for number, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            for text in texts(output):
                for name, pattern in TRACES.items():
                    if found := pattern.search(text):
                        raise Refused(f"the output of cell {number} ({cell.id}) holds {name}: {found[0]}")


def readme_picture(notebook: NotebookNode) -> bytes | None:
    """The picture of the cell that is tagged for the README, as PNG; None where there is no such cell."""
    for cell in notebook.cells:
        if README_TAG in cell.metadata.get("tags", []):
            return next(base64.b64decode(o.data["image/png"]) for o in cell.outputs if "image/png" in o.get("data", {}))
    return None


def write(content: bytes, path: Path) -> bool:
    """Put `content` in the file's place at once, whole or not at all.

    Returns:
        Whether the file has changed.
    """
    if path.exists() and path.read_bytes() == content:
        return False
    beside = path.with_name(f".{path.name}.part")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return True


def refresh(path: Path) -> bool:
    """Execute one notebook and store it.

    Returns:
        Whether the file has changed.

    Raises:
        Refused: an output cannot be stored.
        CellExecutionError, CellTimeoutError, DeadKernelError: as `execute`.
    """
    notebook = nbformat.read(path, as_version=4)
    execute(notebook, path.parent)
    clean(notebook)
    refuse_traces(notebook)
    nbformat.validate(notebook)
    if path.parent == NOTEBOOKS and (picture := readme_picture(notebook)):
        write(picture, README_PICTURE)
    return write((nbformat.writes(notebook).rstrip("\n") + "\n").encode(), path)


def main(arguments: Sequence[str]) -> int:
    """Refresh the notebooks chosen; the exit status is 1 when one could not be stored, 2 for a wrong name."""
    try:
        paths = choose(arguments)
    except ValueError as error:
        print(f"refresh: {error}", file=sys.stderr)
        return 2
    failed = 0
    for path in paths:
        try:
            changed = refresh(path)
        except (Refused, CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed += 1
            print(f"{path.name}: left as it was: {error}", file=sys.stderr, flush=True)
        else:
            print(
                f"{path.name}: {'stored' if changed else 'unchanged'}, {path.stat().st_size} bytes",
                flush=True,
            )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
