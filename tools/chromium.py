"""Where a Chromium is, for the tests that move sliders in a real browser."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# where `playwright install chromium` puts its own, on Linux
PLAYWRIGHT = Path("~/.cache/ms-playwright")


def find() -> str | None:
    """The browser that the variable CHROMIUM names, else one on the PATH, else Playwright's; None if none."""
    if named := os.environ.get("CHROMIUM"):
        return named
    on_path = filter(None, map(shutil.which, NAMES))
    own = map(str, sorted(PLAYWRIGHT.expanduser().glob("chromium-*/chrome-linux*/chrome"), reverse=True))
    return next(on_path, None) or next(own, None)
