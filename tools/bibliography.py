"""Write book/bibliography.md from book/references.bib.

    python -m tools.bibliography

An entry's key is its heading, and nothing else is: then `bibliography.md#chen2018` leads to it in JupyterLab as in
the book, without a word of markup that only one of them understands.
"""

from __future__ import annotations

import re
import sys
import unicodedata

from pybtex.database import BibliographyDataError, Entry, Person, parse_string
from pybtex.exceptions import PybtexError
from pybtex.richtext import Text

from tools.process import ROOT

SOURCE = ROOT / "book" / "references.bib"
PAGE = ROOT / "book" / "bibliography.md"

OPENING = """\
# Bibliography

The papers, theses and books that the chapters cite, by the surname of the first author. The heading of an entry is its
key in [references.bib](references.bib), the BibTeX file for your own use. This page is made from that file by
`python -m tools.bibliography`.
"""

ARXIV = re.compile(r"\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7}")
DOI = re.compile(r"10\.\d{4,9}/[^\s{}]+")
YEAR = re.compile(r"(1[6-9]|20)\d\d")
LETTERS = str.maketrans({"ø": "o", "ł": "l", "ß": "ss", "æ": "ae"})  # the others are a letter with an accent


class BibliographyError(ValueError):
    """An entry that cannot be printed as it stands; the text names it, and says what is wanted."""


def markdown(bibtex: str) -> str:
    """The page of a BibTeX file, an entry under the heading of its key, in the order of the keys.

    Args:
        bibtex: the text of the file. Every entry has author, title and year; `eprint` is an arXiv id, `doi` a DOI
            without the address of a resolver.

    Raises:
        BibliographyError: the text is not BibTeX or has no entry, a key occurs twice or does not fit its entry, or a
            field is missing or malformed.
    """
    try:
        entries = parse_string(bibtex, "bibtex").entries
    except BibliographyDataError as error:
        raise BibliographyError(f"{error}: every key may occur once") from error
    except PybtexError as error:
        raise BibliographyError(f"not BibTeX: {error}") from error
    if not entries:
        raise BibliographyError("there is no entry in it")
    items = [f"## {key}\n\n{reference(key, entries[key])}\n" for key in sorted(entries)]
    return "\n".join([OPENING, *items])


def reference(key: str, entry: Entry) -> str:
    """One entry as a line of Markdown: authors, title, venue, year, a note, links.

    Args:
        key: the entry's key.
        entry: as pybtex parsed it.

    Raises:
        BibliographyError: see `markdown`.
    """
    check(key, entry)
    title = _plain(entry.fields["title"])
    venue = ", ".join(part for part in (_venue(entry), entry.fields["year"]) if part)
    sentences = [_names(entry.persons["author"]), f"*{title}*", venue, _plain(entry.fields.get("note", ""))]
    text = " ".join(s if s.rstrip("*").endswith((".", "?", "!")) else f"{s}." for s in sentences if s)
    return " ".join([text, " · ".join(_links(entry))]).rstrip()


def check(key: str, entry: Entry) -> None:
    """Raise what is wrong with an entry's key and fields, if anything is; the arguments are those of `reference`."""
    for field, present in [("author", entry.persons), ("title", entry.fields), ("year", entry.fields)]:
        if not present.get(field):
            raise BibliographyError(f"{key}: {field} is missing")
    for field, pattern, example in [
        ("year", YEAR, "2018"),
        ("eprint", ARXIV, "1806.07366"),
        ("doi", DOI, "10.1007/978-3-540-78862-1"),
    ]:
        value = entry.fields.get(field)
        if value is not None and not pattern.fullmatch(value):
            raise BibliographyError(f"{key}: {field} is {value!r}, and should look like {example}")
    surname = "".join(entry.persons["author"][0].prelast_names + entry.persons["author"][0].last_names)
    stem = letters(str(Text.from_latex(surname))) + entry.fields["year"]
    if not re.fullmatch(rf"{stem}[a-z]?", key):
        raise BibliographyError(f"{key}: the key should be {stem}, the first author's surname and the year")


# --- small parts ----------------------------------------------------------------------------------------


def _plain(latex: str) -> str:
    """A field's text without LaTeX, with the signs escaped that mean something in Markdown."""
    return re.sub(r"([\\`*_\[\]$<])", r"\\\1", str(Text.from_latex(latex)))


def letters(name: str) -> str:
    """A name as it stands in a key: "Nørsett" as norsett, "De Brouwer" as debrouwer."""
    return re.sub(r"[^a-z]", "", unicodedata.normalize("NFKD", name.lower().translate(LETTERS)))


def _names(people: list[Person]) -> str:
    """Given names first: "Ernst Hairer, Syvert P. Nørsett and Gerhard Wanner"."""
    kinds = ("first_names", "middle_names", "prelast_names", "last_names", "lineage_names")
    *others, last = [_plain(" ".join(sum((getattr(person, kind) for kind in kinds), []))) for person in people]
    return f"{', '.join(others)} and {last}" if others else last


def _venue(entry: Entry) -> str:
    """Where it appeared, as far as the entry says."""
    fields = {name.lower(): _plain(value) for name, value in entry.fields.items()}
    number = f"({fields['number']})" if "number" in fields else ""
    volume = f" {fields['volume']}{number}" if "volume" in fields else ""
    parts = [
        fields["journal"] + volume if "journal" in fields else "",
        fields["booktitle"] + volume if "booktitle" in fields else "",
        f"{fields['edition']} edition" if "edition" in fields else "",
        fields.get("publisher", ""),
        f"PhD thesis, {fields['school']}" if entry.type == "phdthesis" else "",
        fields.get("pages", "").replace("--", "–"),
    ]
    return ", ".join(filter(None, parts))


def _links(entry: Entry) -> list[str]:
    """A link by the arXiv id and one by the DOI, where there are such."""
    hosts = [("eprint", "arXiv", "https://arxiv.org/abs/"), ("doi", "doi", "https://doi.org/")]
    given = [(name, host, entry.fields[field]) for field, name, host in hosts if field in entry.fields]
    return [f"[{name} {_plain(number)}]({host}{number})" for name, host, number in given]


def main() -> int:
    """Write the page; it stays as it was when an entry is wrong."""
    try:
        page = markdown(SOURCE.read_text(encoding="utf-8"))
    except BibliographyError as error:
        print(f"{SOURCE.relative_to(ROOT)}: {error}", file=sys.stderr)
        return 1
    PAGE.write_text(page, encoding="utf-8", newline="\n")
    print(f"{PAGE.relative_to(ROOT)}: {page.count('## ')} entries")
    return 0


if __name__ == "__main__":
    sys.exit(main())
