"""Whether there is a page to show something on."""

from __future__ import annotations

import sys


def on_a_page() -> bool:
    """Whether this runs in a notebook's kernel, and not in a terminal or under pytest."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it; nobody else need
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None
