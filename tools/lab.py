"""How JupyterLab is started: for a desk, for a machine without a display, and for root."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


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


def command(python: Path, notebooks: Path, arguments: Sequence[str], *, display: bool, root: bool) -> list[str | Path]:
    """The command that opens JupyterLab on the first notebook. The server makes its own token and prints it.

    Args:
        python: the interpreter that has jupyterlab.
        notebooks: folder to serve.
        arguments: the reader's own options; they come last and win.
        display: whether a browser can be opened here.
        root: whether the user is root, whom Jupyter refuses unless told.
    """
    first = min((path.name for path in notebooks.glob("*.ipynb")), default=None)
    return [
        *(python, "-m", "jupyterlab", f"--ServerApp.root_dir={notebooks}"),
        *([f"--LabApp.default_url=/lab/tree/{first}"] if first else []),
        "--Application.log_level=WARN",  # leaves the address, and what goes wrong
        *([] if display else ["--no-browser"]),
        *(["--allow-root"] if root else []),
        *arguments,
    ]
