"""Look at a built site: nothing comes from elsewhere, every link leads somewhere, no page is too heavy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

HEAVIEST = 8_000_000  # bytes of a page
LOADS = {"link": "href", **dict.fromkeys(["script", "img", "iframe", "source", "video", "audio"], "src")}
RELATIONS = {"canonical", "next", "prev", "index", "search", "author", "license"}  # of links that load nothing
IN_STYLE = re.compile(r"url\(\s*[\"']?((?:https?:)?//[^)\"']+)|@import\s+[\"']((?:https?:)?//[^\"']+)")


class _Page(HTMLParser):
    """What a page loads, what it links to, and the places in it that can be linked to."""

    def __init__(self, text: str):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = {name: value or "" for name, value in attributes}
        if "id" in given:
            self.places.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif tag in LOADS and LOADS[tag] in given and not RELATIONS & set(given.get("rel", "").split()):
            self.loads.append(given[LOADS[tag]])


def problems(site: Path) -> list[str]:
    """Everything that is wrong with the pages of a site, a line each."""
    pages = sorted(path for path in site.rglob("*.html") if "_static" not in path.relative_to(site).parts)
    found = [sentence for page in pages for sentence in _of_page(page, site)]
    for style in sorted(site.rglob("*.css")):
        for match in IN_STYLE.finditer(style.read_text(encoding="utf-8")):
            found.append(f"{style.relative_to(site)}: asks another host for {match[1] or match[2]}")
    return found


def measure(site: Path) -> tuple[int, int]:
    """The number of pages, and the bytes of everything."""
    return len(list(site.rglob("*.html"))), sum(path.stat().st_size for path in site.rglob("*") if path.is_file())


def _of_page(path: Path, site: Path) -> Iterator[str]:
    name, page = path.relative_to(site).as_posix(), _read(path)
    if (size := path.stat().st_size) > HEAVIEST:
        yield f"{name}: {size:,} bytes, more than {HEAVIEST:,}: store fewer pictures of its explorers"
    for target in page.loads:
        if urlsplit(target).netloc:
            yield f"{name}: asks another host for {target}"
        elif not target.startswith("data:") and not _file(path, target).is_file():
            yield f"{name}: {target} is not there"
    for target in page.links:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc or not target:
            continue
        file = _file(path, target)
        if not file.is_file():
            yield f"{name}: the link to {target} leads nowhere"
        elif parts.fragment and file.suffix == ".html" and unquote(parts.fragment) not in _read(file).places:
            yield f"{name}: there is no #{parts.fragment} in {file.relative_to(site).as_posix()}"


def _file(page: Path, target: str) -> Path:
    """The file that a relative address means."""
    there = unquote(urlsplit(target).path)
    return (page.parent / there).resolve() if there else page.resolve()


@cache
def _read(path: Path) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))
