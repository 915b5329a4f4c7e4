"""How JupyterLab is started: for a desk, for a machine without a display, and for root."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

DOOR = "notebooks/README.md"
# Defaults that the reader's own settings override: a Markdown file opens as a page, and Jupyter asks no other host
# for news.
SETTINGS = Path(__file__).resolve().parent / "jupyterlab"
SAVING = "--FileContentsManager.pre_save_hook=tools.saving.without_widgets"
PORT = 8888


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


def free_port(first: int = PORT, tries: int = 50) -> int:
    """The first port from `first` on that nobody listens at.

    Raises:
        OSError: all of them are taken.
    """
    for port in range(first, first + tries):
        with socket.socket() as probe:
            if os.name == "posix":  # as the server does; a port that somebody left just now is free
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"every port from {first} to {first + tries - 1} is taken: end a server, or name a port with --port")


def names_port(arguments: Sequence[str]) -> bool:
    """Whether the reader's own options name a port."""
    return any(argument.split("=")[0] in ("--port", "--ServerApp.port") for argument in arguments)


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
        "--ServerApp.port_retries=0",  # a port that is taken is an error in words, not another port in silence
        SAVING,
        *([] if display else ["--no-browser"]),
        *(["--allow-root"] if root else []),
        *arguments,
    ]
