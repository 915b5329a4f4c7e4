"""Which chapters are visited; and a page opened from the disk, watched by somebody who wants it quiet and alone."""

from __future__ import annotations

import os
from pathlib import Path

CHOSEN = os.environ.get("HELPERS_CHAPTERS", "").split()  # beginnings of names; none means every chapter


def visited(name: str) -> bool:
    """Whether a file that belongs to a chapter is looked at in this run."""
    return not CHOSEN or Path(name).name.startswith(tuple(CHOSEN))


class Visit:
    """A page opened from the disk, with everything that went wrong or elsewhere meanwhile.

    Used as a context: at the end the page is closed, and trouble is a failure.
    """

    def __init__(self, browser, file: Path, *, viewport: dict, scheme: str = "light"):
        self.context = browser.new_context(viewport=viewport, color_scheme=scheme)
        self.page = self.context.new_page()
        self.trouble: list[str] = []
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("request", self._record)
        self.page.on("requestfailed", lambda request: self.trouble.append(f"failed: {request.url[:200]}"))
        self.page.goto(file.as_uri())
        self.page.wait_for_function("() => !window.MathJax || (MathJax.startup && MathJax.startup.promise)")
        self.page.evaluate("() => window.MathJax?.startup?.promise")

    def _listen(self, message) -> None:
        if message.type in ("warning", "error"):  # the book's theme tells of a changed scheme, which is no trouble
            self.trouble.append(f"console: {message.text}")

    def _record(self, request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.trouble.append(f"fetched: {request.url}")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        assert kind or not self.trouble, "\n".join(self.trouble)
