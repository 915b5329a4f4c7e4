"""How long a reader waits for the picture: key press to new picture, in real JupyterLab and on the book's pages.

    python -m bench.sliders            chapters 00 and 01
    python -m bench.sliders 01         one of them

Each slider of each explorer is pressed through values that were not shown before, one press at a time; the clock runs
in the page, from the key event to the load event of the last picture it caused. In JupyterLab the same
figure is measured beside it as most notebooks would do it: plain `interact`, a new figure at every move.
"""

from __future__ import annotations

import ast
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat

from tools import browsing, chromium
from tools.process import ROOT

PRESSES = 8
QUIET = 350  # ms without a further picture: the answer to a key press is complete
PATIENCE = 3_000  # ms for the first picture
CLOCK = """() => {
  window.clock = { key: 0, loads: [] };
  document.addEventListener("keydown", () => { clock.key = performance.now(); clock.loads = []; }, true);
  document.addEventListener("load", (e) => e.target.tagName === "IMG" && clock.loads.push(performance.now()), true);
}"""
ANSWERED = "() => clock.loads.length > 0"
LAST = "() => clock.loads.at(-1) - clock.key"
COUNT = "() => clock.loads.length"
PLAIN = """
import matplotlib.pyplot as plt
from ipywidgets import interact, IntSlider, Dropdown, Checkbox
def plainly(explorer):
    def draw(**at):
        figure = plt.figure(figsize=explorer.size)
        explorer._build(figure)(**{c.name: c.values[at[c.name]] for c in explorer._controls})
        plt.show()
    kinds = {"slider": lambda c: IntSlider(c.position(c.start), 0, len(c.values) - 1)}
    other = lambda c: Dropdown(options=list(zip(c.texts, range(len(c.texts)))), value=c.position(c.start))
    interact(draw, **{c.name: kinds.get(c.kind, other)(c) for c in explorer._controls})
"""


def table(names: list[str] | None = None) -> Iterator[str]:
    """The lines of the table: one row a slider.

    Args:
        names: beginnings of notebooks' names; all when empty.

    Raises:
        RuntimeError: there is no Chromium, or the built book is not that of the notebooks.
    """
    executable = chromium.find()
    if executable is None:
        raise RuntimeError("no Chromium here; the variable CHROMIUM names one")
    yield "| explorer | slider | JupyterLab, ms | worst | plain `interact`, ms | the book's page, ms |"
    yield "| --- | --- | ---: | ---: | ---: | ---: |"
    paths = [p for p in sorted((ROOT / "notebooks").glob("*.ipynb")) if p.name.startswith(tuple(names or [""]))]
    with browsing.chromium(executable) as browser:
        for path in paths:
            yield from _rows(browser, path)


def _rows(browser, path: Path) -> Iterator[str]:
    notebook, names = _doubled(nbformat.read(path, as_version=4))
    if not names:
        return
    count = len(names)
    with (
        tempfile.TemporaryDirectory() as home,
        browsing.jupyterlab(Path(home), {path.name: notebook}) as address,
    ):
        page = browsing.open_and_run(browser, address.format(name=path.name))
        page.evaluate(CLOCK)
        roots = page.locator(".explorer").all()
        plain = [page.locator(".jp-CodeCell").nth(-count + i) for i in range(count)]
        live = [_measure(page, root, "input[type=range]") for root in roots]
        beside = [_measure(page, root, ".widget-slider .noUi-handle") for root in plain]
        page.close()
    built = ROOT / "build" / "book" / "html" / "notebooks" / f"{path.stem}.html"
    still = [{}] * count
    if built.exists():
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(built.as_uri())
        page.evaluate(CLOCK)
        still = [_measure(page, root, "input[type=range]") for root in page.locator(".explorer").all()]
        page.close()
        if len(still) != count:
            raise RuntimeError(f"{built.relative_to(ROOT)} is a page of another {path.name}: build the book again")
    for name, sliders, others, pages in zip(names, live, beside, still, strict=True):
        for i, (label, ms) in enumerate(sliders.items()):
            other = list(others.values())[i] if i < len(others) else []
            worst = f"{max(ms):.0f}" if ms else "–"
            cells = [_middle(ms), worst, _middle(other), _middle(pages.get(label))]
            yield f"| {name} | {label} | {' | '.join(cells)} |"


def _doubled(notebook) -> tuple[nbformat.NotebookNode, list[str]]:
    """The notebook without outputs and, for each explorer, a cell at the end that shows it by plain `interact`."""
    notebook, names = browsing.fresh(notebook), []
    for cell in notebook.cells:
        if cell.cell_type == "code" and (name := _name(cell.source)):
            lines, last = cell.source.split("\n"), ast.parse(cell.source).body[-1]
            lines[last.lineno - 1] = f"explorer_{len(names)} = " + lines[last.lineno - 1]
            cell.source = "\n".join([*lines, f"explorer_{len(names)}"])
            names.append(name)
    notebook.cells.append(nbformat.v4.new_code_cell(PLAIN))
    notebook.cells += [nbformat.v4.new_code_cell(f"plainly(explorer_{i})") for i in range(len(names))]
    return notebook, names


def _name(source: str) -> str | None:
    """The name of the explorer that a cell ends with; None if it ends with something else."""
    try:
        last = ast.parse(source).body[-1]
    except (SyntaxError, IndexError):
        return None
    call = getattr(last, "value", None)
    if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != "Explorer":
        return None
    return next(k.value.value for k in call.keywords if k.arg == "name")


def _measure(page, root, handles: str) -> dict[str, list[float]]:
    """Milliseconds of each press, by the slider's label (or its number)."""
    root.scroll_into_view_if_needed()
    found = {}
    for i, handle in enumerate(root.locator(handles).all()):
        label = handle.evaluate("(node) => node.labels?.[0]?.textContent ?? ''") or str(i)
        handle.focus()
        page.wait_for_timeout(500)
        found[label] = []
        key = "ArrowRight"
        for _ in range(PRESSES):
            ms = _press(page, key)
            if ms is None and not found[label] and key == "ArrowRight":  # a slider that starts at its end
                ms = _press(page, key := "ArrowLeft")
            if ms is None:
                break
            found[label].append(ms)
    return found


def _press(page, key: str) -> float | None:
    page.keyboard.press(key)
    try:
        page.wait_for_function(ANSWERED, timeout=PATIENCE)
    except Exception:  # the slider is at its end
        return None
    seen = -1
    while seen != (seen := page.evaluate(COUNT)):
        page.wait_for_timeout(QUIET)
    return page.evaluate(LAST)


def _middle(ms: list[float] | None) -> str:
    return f"{statistics.median(ms):.0f}" if ms else "–"


if __name__ == "__main__":
    for line in table(sys.argv[1:]):
        print(line, flush=True)
