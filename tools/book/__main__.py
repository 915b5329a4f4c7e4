"""Build the book into build/book/html.

    python run.py book               all chapters executed
    python run.py book 00            these executed, the others with the outputs that are stored: to look at one chapter

Every chapter is executed once, by a kernel that knows it will have no reader: explorers come out with all their
pictures. A chapter that has not changed, nor anything that it is made with, is not executed again.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from sphinx.cmd.build import main as sphinx

from tools.book import site
from tools.book.assemble import assemble
from tools.book.execution import BUILD, collect
from tools.process import ROOT

HTML = BUILD / "html"


def main(names: Sequence[str]) -> int:
    """Execute, assemble, build, look; the exit status is 1 where something is wrong, 2 for a wrong name."""
    started = time.monotonic()
    try:
        chapters = collect(names)
    except ValueError as error:
        print(f"book: {error}", file=sys.stderr)
        return 2
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print(f"book: not built, because a chapter failed: {error}", file=sys.stderr)
        return 1
    source = assemble(chapters)
    shutil.rmtree(HTML, ignore_errors=True)  # no page stays of what is gone
    options = ["--builder", "html", "--conf-dir", ROOT / "book", "--fail-on-warning", "--keep-going", "--quiet"]
    # a fresh environment each time: what a page links to may have changed without the page
    if sphinx([str(part) for part in [*options, "--fresh-env", "--doctree-dir", BUILD / "doctrees", source, HTML]]):
        print("book: Sphinx has something to say, above, and in this book that is an error", file=sys.stderr)
        return 1
    if found := site.problems(HTML):
        print("\n".join(["book: built, with faults:", *found]), file=sys.stderr)
        return 1
    pages, size = site.measure(HTML)
    told = f"{pages} pages, {size / 1e6:.0f} MB, {time.monotonic() - started:.0f} s"
    print(f"book: {(HTML / 'index.html').relative_to(ROOT)} ({told})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
