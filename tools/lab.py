"""How JupyterLab is started: for a desk, for a machine without a display, and for root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

DOOR = "notebooks/README.md"
# Defaults that the reader's own settings override: a Markdown file opens as a page, and Jupyter asks no other host
# for news.
SETTINGS = Path(__file__).resolve().parent / "jupyterlab"


def has_display(environ: Mapping[str, str], platform: str) -> bool:
    """Whether a browser that this process opens would be seen by the reader.

    Args:
        environ: the environment's variables.
        platform: as `sys.platform` has it.
    """
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    if platform in ("darwin", "win32"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def command(python: Path, root_dir: Path, arguments: Sequence[str], *, display: bool, root: bool) -> list[str | Path]:
    """The command that opens JupyterLab on the page that leads to the chapters. The server makes its own token.

    Args:
        python: the interpreter that has jupyterlab.
        root_dir: folder to serve: all of the checkout, so that a chapter's links to the book's pages lead somewhere.
        arguments: the reader's own options; they come last and win.
        display: whether a browser can be opened here.
        root: whether the user is root, whom Jupyter refuses unless told.
    """
    return [
        *(python, "-m", "jupyterlab", f"--ServerApp.root_dir={root_dir}"),
        f"--LabApp.default_url=/lab/tree/{DOOR}",
        f"--LabApp.app_settings_dir={SETTINGS}",
        "--Application.log_level=WARN",  # leaves the address, and what goes wrong
        *([] if display else ["--no-browser"]),
        *(["--allow-root"] if root else []),
        *arguments,
    ]
