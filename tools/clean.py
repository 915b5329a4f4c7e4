"""Removing what the tasks have made, and never a file that git tracks."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from tools.process import ROOT

CACHES = ("__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".ruff_cache", ".hypothesis", "*.egg-info")


def made(root: Path, *, environment: bool) -> Iterator[Path]:
    """Folders that the tasks leave behind in a checkout.

    Args:
        root: the checkout.
        environment: whether .venv is meant too.
    """
    at_root = ("build", ".venv") if environment else ("build",)
    for folder, names, _ in os.walk(root):
        patterns = CACHES + at_root if Path(folder) == root else CACHES
        found = [name for name in names if any(fnmatch(name, pattern) for pattern in patterns)]
        yield from (Path(folder, name) for name in found)
        names[:] = [name for name in names if name not in (*found, ".git", ".venv", "student")]


def tracked(root: Path, path: Path) -> bool:
    """Whether git tracks something below the path; False outside a git checkout."""
    command = ["git", "ls-files", "--", str(path)]
    try:
        return bool(subprocess.run(command, cwd=root, capture_output=True, check=False).stdout)
    except FileNotFoundError:
        return False


def clean(root: Path = ROOT, *, environment: bool = False) -> list[Path]:
    """Remove build products and caches.

    Args:
        root: the checkout.
        environment: whether to remove .venv as well.

    Returns:
        The folders that were removed.
    """
    removed = [path for path in made(root, environment=environment) if not tracked(root, path)]
    for path in removed:
        shutil.rmtree(path)
    return removed
