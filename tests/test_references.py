"""Links between the chapters and the book's pages lead somewhere, in JupyterLab as in the book; so do citations."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml

from helpers.chapters import is_draft
from helpers.chapters.ch00_start_here.cards import CARDS
from tools import bibliography
from tools.bibliography import BibliographyError, markdown
from tools.process import ROOT

LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")
PLACE = re.compile(r'<span id="([^"]+)"></span>')
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)
CODE = re.compile(r"^(```+).*?^\1|`[^`\n]+`", re.M | re.S)
MET_IN = re.compile(r"→ (?:\[chapter (\d+)\]\(\.\./notebooks/(.+?)\)|chapter (\d+) \(to come\))$")
REFERENCES = bibliography.SOURCE.read_text(encoding="utf-8")
GLOSSARY = (ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WHOLE = [path for path in CHAPTERS if not is_draft(path)]


def cells(path: Path) -> list[str]:
    """The Markdown of a page, one piece for each cell of a notebook, without what is set as code."""
    text = path.read_text(encoding="utf-8")
    pieces = [text]
    if path.suffix == ".ipynb":
        pieces = [c.source for c in nbformat.reads(text, as_version=4).cells if c.cell_type == "markdown"]
    return [CODE.sub("", piece) for piece in pieces]


def links(path: Path) -> Iterator[tuple[str, str]]:
    """Text and target of every link and picture of a page that does not lead to another host."""
    found = (match for piece in cells(path) for match in LINK.findall(piece))
    return ((text, target) for text, target in found if not re.match(r"[a-z]+:", target))


def anchors(path: Path) -> list[str]:
    """What of a page can be linked: places with an id, and headings that JupyterLab and the book name alike."""
    headings = [heading for piece in cells(path) for heading in HEADING.findall(piece)]
    in_lab = [heading.replace(" ", "-") for heading in headings]
    in_book = [re.sub(r"[^\w\- ]", "", heading.strip().lower().replace(" ", "-")) for heading in headings]
    named = [id for piece in cells(path) for id in PLACE.findall(piece)]
    return named + [lab for lab, book in zip(in_lab, in_book, strict=True) if lab == book]


def pages(root: Path) -> list[Path]:
    """The chapters, the page that opens on them, and the pages of the book."""
    patterns = ("notebooks/*.ipynb", "notebooks/*.md", "book/*.md")
    return [path for pattern in patterns for path in sorted(root.glob(pattern))]


def broken(root: Path) -> list[str]:
    """Every link of a checkout that leads nowhere, a line each."""
    found = []
    for page in pages(root):
        for text, target in links(page):
            file, _, anchor = target.partition("#")
            there = (page.parent / file).resolve() if file else page
            if there.parent == root / "student":  # made from the chapters when they are wanted
                there = root / "notebooks" / there.name
            if not there.is_file():
                found.append(f"{page.name}: [{text}] leads to {file}, which is not there")
            elif anchor and anchor not in anchors(there):
                found.append(f"{page.name}: [{text}] leads to #{anchor}, which is no place in {there.name}")
    return found


@pytest.fixture
def checkout(tmp_path):
    """A copy of everything that has links, to be broken."""
    for folder in ("book", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "README.png", tmp_path)
    return tmp_path


# --- links ----------------------------------------------------------------------------------------------


def test_every_link_leads_somewhere():
    assert broken(ROOT) == []


def test_the_links_are_found():
    targets = [target for page in pages(ROOT) for _, target in links(page)]
    assert sum("bibliography.md#" in target for target in targets) > 40
    assert sum("glossary.md#" in target for target in targets) > 40
    assert {"../notebooks/01_resnet_as_euler.ipynb", "../README.png", "#flow"} <= set(targets)


@pytest.mark.parametrize(
    "file, old, new, sentence",
    [
        ("notebooks/01_resnet_as_euler.ipynb", "#ott2021", "#ott1921", "#ott1921, which is no place"),
        ("notebooks/00_start_here.ipynb", "md#flow)", "md#flows)", "#flows, which is no place in glossary.md"),
        ("book/glossary.md", 'id="vector-field"', 'id="vector"', "#vector-field, which is no place"),
        ("book/glossary.md", "(#a-stability)", "(#astability)", "#astability, which is no place in glossary.md"),
        ("book/index.md", "](teaching.md)", "](teach.md)", "leads to teach.md, which is not there"),
        ("notebooks/README.md", "student/00", "student/77", "leads to ../student/77_start_here.ipynb"),
    ],
)
def test_a_broken_link_is_found(checkout, file, old, new, sentence):
    path = checkout / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    assert any(sentence in line for line in broken(checkout)), broken(checkout)


def test_a_missing_page_is_found(checkout):
    assert broken(checkout) == []
    (checkout / "book" / "glossary.md").unlink()
    assert all("which is not there" in line for line in broken(checkout))
    assert len(broken(checkout)) > 40


def test_no_page_has_two_headings_of_one_name():
    for page in pages(ROOT):
        names = anchors(page)
        assert [name for name in names if names.count(name) > 1] == [], page.name


# --- the glossary ---------------------------------------------------------------------------------------


def entries() -> dict[str, str]:
    """The glossary's words, by anchor, each with its text."""
    parts = re.split(rf"^{PLACE.pattern}\n\n### .+$", re.split(r"^## A$", GLOSSARY, flags=re.M)[1], flags=re.M)[1:]
    texts = (re.split(r"^## ", text, flags=re.M)[0].strip() for text in parts[1::2])
    return dict(zip(parts[::2], texts, strict=True))


def test_the_words_stand_in_alphabetical_order_under_their_letters():
    letters = re.findall(r"^## ([A-Z])$", GLOSSARY, re.M)
    words = list(entries())
    assert words == sorted(words)
    assert letters == sorted({word[0].upper() for word in words})


def test_every_word_has_a_place_and_every_sign_too():
    words = GLOSSARY[GLOSSARY.index("## A\n") :]
    assert len(entries()) == len(re.findall(r"^### [^a-z]", words, re.M)) > 40
    signs = re.search(r"^\| sign .+?(?=\n\n)", GLOSSARY, re.M | re.S)[0].splitlines()[2:]
    assert len(signs) > 20
    assert [line for line in signs if not line.startswith('| <span id="sign-')] == []


def linked_words(chapter: Path) -> set[str]:
    return {target.partition("#")[2] for _, target in links(chapter) if target.startswith("../book/glossary.md#")}


def test_a_word_names_the_chapter_that_links_it_first():
    first = {}
    for chapter in CHAPTERS:
        first |= {word: chapter.name for word in linked_words(chapter) - first.keys()}
    for word, text in entries().items():
        met = MET_IN.search(text)
        assert met, f"{word} does not end with its chapter"
        assert met[2] == first.get(word), word
        assert met[1] is None or int(met[1]) == int(met[2][:2]), word
        assert met[3] is None or not list((ROOT / "notebooks").glob(f"{int(met[3]):02d}_*")), f"{word}: written by now"


@pytest.mark.parametrize("chapter", WHOLE, ids=lambda path: path.stem)
def test_a_term_is_linked_where_a_chapter_uses_it_first(chapter):
    """Terms of two words and more: "flow" or "order" are also words of everyday English."""
    text = "\n".join(cells(chapter)[1:])  # the opening table names what is to come
    text = HEADING.sub("", text).replace("*", "")
    terms = [word for word in linked_words(chapter) if "-" in word and not word.startswith("sign-")]
    assert len(terms) > 5
    for word in terms:
        link = text.rindex("[", 0, text.index(f"glossary.md#{word})"))
        before = re.search(rf"(?<![#\w-]){word.replace('-', '[ –-]')}", text[:link], re.I)
        assert before is None, f"{word}: …{text[before.start() - 30 : before.end() + 20]}…"


# --- citations ------------------------------------------------------------------------------------------


def test_the_page_is_what_the_tool_writes():
    assert bibliography.PAGE.read_text(encoding="utf-8") == markdown(REFERENCES)


def fields(name: str) -> set[str]:
    return set(re.findall(rf"^ +{name} += \{{(.*)\}},$", REFERENCES, re.M))


def test_a_citation_names_the_author_and_the_year_of_its_key():
    cited = [link for page in pages(ROOT) for link in links(page) if "bibliography.md#" in link[1]]
    for text, target in cited:
        surname, year = re.fullmatch(r"([a-z]+)(\d{4})[a-z]?", target.partition("#")[2]).groups()
        assert bibliography.letters(text).startswith(surname), (text, target)
        assert year in text, (text, target)


def test_every_arxiv_id_that_is_printed_is_in_the_bibliography():
    texts = [chapter.read_text(encoding="utf-8") for chapter in CHAPTERS] + [card.papers for card in CARDS.values()]
    printed = {number for text in texts for number in re.findall(r"arXiv (\d{4}\.\d{4,5})", text)}
    assert len(printed) > 30
    assert printed <= fields("eprint")


def test_what_to_copy_for_a_citation_is_up_to_date():
    page = (ROOT / "book" / "citing.md").read_text(encoding="utf-8")
    collection, survey = re.findall(r"^```bibtex\n(.*?)^```", page, re.M | re.S)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert f"{{{citation['title']}}}" in collection
    assert f"{{{citation['version']}}}" in collection
    assert survey in REFERENCES


GOOD = "@misc{e2017, author = {E, Weinan}, title = {A Proposal}, year = {2017}, eprint = {1806.07366}}"


def test_an_entry_becomes_a_heading_and_a_line():
    page = markdown(GOOD + r"@book{norsett1993, author={N{\o}rsett, S. P. and Gr{\"u}n, A.}, title={What?}, year=1993}")
    assert "## e2017\n\nWeinan E. *A Proposal*. 2017. [arXiv 1806.07366](https://arxiv.org/abs/1806.07366)\n" in page
    assert "## norsett1993\n\nS. P. Nørsett and A. Grün. *What?* 1993.\n" in page


def test_the_parts_of_an_entry():
    page = markdown(
        r"@article{e2017b, author={E, W. and F, G. and {\'E}, H.}, title={On {\em x\_1} and *y*}, "
        "journal={J. of {I}t}, volume=5, number=1, pages={1--11}, year=2017, note={In part}, "
        "doi={10.1007/s40304-017-0103-z}}"
    )
    assert r"W. E, G. F and H. É." in page
    assert r"\*y\**. J. of It 5(1), 1–11, 2017. In part." in page
    assert page.endswith("[doi 10.1007/s40304-017-0103-z](https://doi.org/10.1007/s40304-017-0103-z)\n")


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("author = {E, Weinan}, ", "", "e2017: author is missing"),
        ("title = {A Proposal}, ", "", "e2017: title is missing"),
        ("title = {A Proposal}", "title = {}", "e2017: title is missing"),
        (", year = {2017}", "", "e2017: year is missing"),
        ("year = {2017}", "year = {17}", "e2017: year is '17', and should look like 2018"),
        ("1806.07366", "arXiv:1806.07366", "e2017: eprint is 'arXiv:1806.07366', and should look like 1806.07366"),
        ("eprint = {1806.07366}", "doi = {https://doi.org/10.1/x}", "e2017: doi is 'https://doi.org/10.1/x'"),
        ("e2017", "weinan2017", "weinan2017: the key should be e2017"),
        ("e2017", "e2018", "e2018: the key should be e2017"),
        ("title", "title title", "not BibTeX: syntax error in line 1"),
        (GOOD, GOOD + GOOD, "repeated bibliography entry: e2017"),
        (GOOD, "e2017", "there is no entry"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(old, new, sentence):
    assert old in GOOD
    with pytest.raises(BibliographyError, match=re.escape(sentence)):
        markdown(GOOD.replace(old, new))


def test_the_tool_writes_the_page_or_says_why_not(tmp_path, monkeypatch, capsys):
    source, page = tmp_path / "references.bib", tmp_path / "bibliography.md"
    for name, value in {"ROOT": tmp_path, "SOURCE": source, "PAGE": page}.items():
        monkeypatch.setattr(bibliography, name, value)
    source.write_text(GOOD, encoding="utf-8")
    assert bibliography.main() == 0
    assert page.read_text(encoding="utf-8") == markdown(GOOD)
    source.write_text(GOOD.replace("{2017}", "{}"), encoding="utf-8")
    assert bibliography.main() == 1
    assert capsys.readouterr().err == "references.bib: e2017: year is missing\n"
    assert page.read_text(encoding="utf-8") == markdown(GOOD)


# --- the pages for teachers and everybody ----------------------------------------------------------------


@pytest.mark.parametrize("chapter", WHOLE, ids=lambda path: path.stem)
def test_a_chapter_is_on_the_pages_of_the_book_with_its_times(chapter):
    opening = cells(chapter)[0]
    lecture, lab = re.search(r"\*\*Time\*\* \| lecture (\d+) minutes, lab (\d+) minutes", opening).groups()
    needs = re.search(r"\*\*You need\*\* \| (.*?) \|", opening)[1]
    row = rf"\| {int(chapter.name[:2])} \| \[.+?\]\(\.\./notebooks/{chapter.name}\) \|"
    teaching, index = ((ROOT / "book" / name).read_text(encoding="utf-8") for name in ("teaching.md", "index.md"))
    assert re.search(rf"^{row} {lecture} minutes \| {lab} minutes \| {re.escape(needs)} \|$", teaching, re.M)
    assert re.search(rf"^{row} .+ \| written \|$", index, re.M)


def test_chapters_to_come_are_announced_as_such():
    index = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    announced = {int(number) for number in re.findall(r"^\| (\d) \| .+ \| to come \|$", index, re.M)}
    assert announced == set(range(10)) - {int(chapter.name[:2]) for chapter in WHOLE}


@pytest.mark.parametrize("page", sorted((ROOT / "book").glob("*.[mb]*")), ids=lambda path: path.name)
def test_a_page_has_no_trace_of_a_machine(page):
    from tools.refresh import TRACES

    text = page.read_text(encoding="utf-8")
    assert [name for name, pattern in TRACES.items() if pattern.search(text)] == []
