"""The page of evidence, from the records that claims have left: what is relied upon, and the cell that checks it."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pybtex.database import BibliographyData, parse_string

from helpers.lesson.claim import KINDS, OUTCOMES
from tools.bibliography import reference
from tools.book.chapter import anchor, claims_made
from tools.process import ROOT

if TYPE_CHECKING:
    from tools.book.execution import Executed

TEMPLATE = ROOT / "book" / "templates" / "evidence.md"
ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")
MINUS = re.compile(r"(?:(?<=\de)|(?<![\w.)]))-(?=\.?\d)")
AUTHOR_YEAR = re.compile(r"([^\W\d_]+).*?\b((?:1[6-9]|20)\d\d)\b")


def evidence(chapters: Sequence[Executed], bibtex: str) -> str:
    """The page as Markdown.

    Args:
        chapters: executed, with their records.
        bibtex: the text of the bibliography, where sources are looked up.
    """
    claims = [claim for chapter in chapters for claim in chapter.claims]
    kinds = Counter(claim["kind"] for claim in claims)
    counted = {f"{kind}s": kinds[kind] for kind in KINDS}
    contradicted = ", ".join(claim["id"] for claim in claims if claim["outcome"] == "contradicted") or "none so far"
    told = dict(count=len(claims), contradicted=contradicted, sign=OUTCOMES["contradicted"])
    parts = [TEMPLATE.read_text(encoding="utf-8").format(**KINDS, **counted, **told)]
    entries = parse_string(bibtex, "bibtex")
    for chapter in filter(lambda chapter: chapter.claims, chapters):
        parts.append(f"## {chapter.title}\n")
        lasted = durations(chapter)
        parts += [_claim(claim, chapter.name, lasted[claim["id"]], entries) for claim in chapter.claims]
    return "\n".join(parts)


def keys(source: str, entries: BibliographyData) -> list[str]:
    """The entries of the bibliography that a claim's source names, by arXiv id, else by first author and year."""
    by_id = {entry.fields.get("eprint"): key for key, entry in entries.entries.items()}
    found = []
    for part in source.split(";"):
        named = ARXIV.search(part)
        author = AUTHOR_YEAR.search(part)
        guess = f"{author[1].lower()}{author[2]}" if author else ""
        key = by_id.get(named[1]) if named else guess if guess in entries.entries else None
        found += [key] if key and key not in found else []
    return found


def durations(chapter: Executed) -> dict[str, str]:
    """How long each claim took: all code since the last cell with claims, its own included. Claims of a cell share."""
    lasted, since = {}, 0.0
    for cell in chapter.notebook.cells:
        if cell.cell_type != "code":
            continue
        since += chapter.seconds.get(cell.id, 0)
        if ids := [*claims_made(cell.source)]:
            for id in ids:
                others = ", ".join(other for other in ids if other != id)
                lasted[id] = seconds(since) + (f" together with {others}" if others else "")
            since = 0.0
    return lasted


def _claim(claim: dict, chapter: str, lasted: str, entries: BibliographyData) -> str:
    """One claim: a bar in the colour of nothing, its sign and word, and its parts by name."""
    sign, kind = OUTCOMES[claim["outcome"]], KINDS[claim["kind"]]
    where = f"../notebooks/{chapter}.html#claim-{anchor(claim['id'])}"
    lines = [
        f'<div class="evidence" id="evidence-{anchor(claim["id"])}">',
        f'<p><a href="{where}">{claim["id"]}</a> <strong>{sign} {claim["outcome"]}</strong> · {kind}</p>',
        f"<p>{html.escape(minus(claim['statement']))}.</p>".replace("..", "."),
        f"<p>{html.escape(minus(claim['told']))} · {lasted} · {html.escape(claim['source'])}</p>",
        "</div>\n",
    ]
    text = "\n".join(lines)
    if named := keys(claim["source"], entries):
        full = "\n".join(f"- {reference(key, entries.entries[key])}" for key in named)
        text += f"\n{full}\n"
    return text


def seconds(time: float) -> str:
    """A duration, with as many digits as mean something."""
    return "less than 0.1 s" if time < 0.1 else f"{time:.1f} s"


def minus(text: str) -> str:
    """The text with a true minus in its negative numbers and exponents; hyphens stay."""
    return MINUS.sub("−", text)
