"""A headless Chromium and a JupyterLab of its own, for tests and measurements that behave like a reader."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from tools.lab import SAVING
from tools.process import ROOT, notebook_environment
from tools.refresh import KERNEL

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Everything in the page, no questions to the reader, no news from elsewhere.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}
MINUTES = 60_000  # ms
ERRORS = '[data-mime-type="application/vnd.jupyter.stderr"]'  # JupyterLab shows an exception as it shows stderr
DONE = """() => {
  const cells = [...document.querySelectorAll('.jp-Notebook .jp-CodeCell')];
  return cells.length > 0 && cells.every((c) => /\\[\\d+\\]/.test(c.querySelector('.jp-InputPrompt').textContent));
}"""


@contextmanager
def chromium(executable: str):
    """A headless Chromium, closed at the end.

    Args:
        executable: the browser, as `tools.chromium.find` names it.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def jupyterlab(home: Path, notebooks: Mapping[str, NotebookNode]) -> Iterator[str]:
    """A JupyterLab that serves these notebooks, with settings of its own, stopped at the end.

    Args:
        home: an empty folder for the notebooks and for everything that Jupyter writes.
        notebooks: file name → notebook.

    Yields:
        The address of a notebook, with ``{name}`` where its file name goes.

    Raises:
        TimeoutError: the server did not start within a minute.
    """
    (home / "notebooks").mkdir()
    for name, notebook in notebooks.items():
        nbformat.write(notebook, home / "notebooks" / name)
    for name, settings in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings), encoding="utf-8")
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    folders |= {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    env = notebook_environment(**{name: str(home / folder) for name, folder in folders.items()})
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0", SAVING]
    command += [f"--ServerApp.root_dir={home / 'notebooks'}"]
    with open(home / "log", "w") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield _address(home, server)
    finally:
        server.terminate()
        server.wait(30)


def _address(home: Path, server: subprocess.Popen) -> str:
    """What the server writes down once it listens: where, and the token."""
    for _ in range(600):
        for file in (home / "runtime").glob("jpserver-*.json"):
            try:
                info = json.loads(file.read_text(encoding="utf-8"))
            except ValueError:  # half written
                continue
            return f"{info['url']}lab/tree/{{name}}?token={info['token']}&reset"
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab ended: {(home / 'log').read_text(encoding='utf-8')}")
        time.sleep(0.1)
    raise TimeoutError(f"JupyterLab did not start within a minute: {(home / 'log').read_text(encoding='utf-8')}")


def fresh(cells: list[str] | NotebookNode) -> NotebookNode:
    """A notebook without outputs: made of code cells, or a copy of one that has been run."""
    if isinstance(cells, list):
        cells = [nbformat.v4.new_code_cell(source) for source in cells]
        return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    copy = nbformat.from_dict(cells)
    for cell in copy.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return copy


def open_and_run(browser, address: str):
    """A page with the notebook at this address, all its cells run; ``page.said`` collects the console's errors."""
    page = open_and_begin(browser, address)
    page.wait_for_function(DONE, timeout=5 * MINUTES)
    return page


def open_and_begin(browser, address: str):
    """The same page when its cells have only begun to run."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.said = []
    page.on("console", lambda message: message.type == "error" and page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=MINUTES)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=MINUTES)
    page.wait_for_selector('.jp-StatusBar-TextItem:has-text("| Idle")', timeout=MINUTES)
    page.click('.lm-MenuBar-item:has-text("Run")')
    page.click('.lm-Menu-item[data-command="runmenu:run-all"]')
    return page
