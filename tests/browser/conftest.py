"""A JupyterLab of its own and a headless Chromium for the tests that behave like a reader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from tools.chromium import find
from tools.process import ROOT, notebook_environment
from tools.refresh import KERNEL

REQUIRED = os.environ.get("HELPERS_BROWSER") == "required"
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
# An explorer that cannot draw one of its settings.
TROUBLE = [
    "from helpers.lesson import Explorer, Slider",
    """def build(figure):
    (line,) = figure.subplots().plot([0, 1], [0, 1])
    def update(n):
        line.set_ydata([0, 1 / (5 - n)])
    return update
Explorer(build, Slider("n", label="n", min=1, max=5, start=3), name="00-trouble", alt="n is {n}", look_for="-")""",
]


def missing(what: str) -> None:
    """A skip that is counted, or a failure where HELPERS_BROWSER=required says that nothing may be missing."""
    (pytest.fail if REQUIRED else pytest.skip)(f"{what} is missing")


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing("the package playwright")
    executable = find()
    if executable is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The address of a JupyterLab on the notebooks without their outputs, with settings not the user's own."""
    home = tmp_path_factory.mktemp("jupyter")
    (home / "notebooks").mkdir()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(notebook, home / "notebooks" / path.name)
    cells = [nbformat.v4.new_code_cell(source) for source in TROUBLE]
    trouble = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    nbformat.write(trouble, home / "notebooks" / "trouble.ipynb")
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
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0"]
    command += [f"--ServerApp.root_dir={home / 'notebooks'}"]
    with open(home / "log", "w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
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
        assert server.poll() is None, (home / "log").read_text(encoding="utf-8")
        time.sleep(0.1)
    raise TimeoutError(f"JupyterLab did not start within a minute: {(home / 'log').read_text(encoding='utf-8')}")
