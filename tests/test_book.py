"""The book's machinery on small notebooks: what a chapter becomes, what the pages say, what a bad site is told."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pybtex.database import parse_string

from tools.book import assemble, chapter, evidence, execution, site, status
from tools.process import ROOT
from tools.refresh import KERNEL

BIBTEX = """
@article{haber2017, author = {Haber, Eldad and Ruthotto, Lars}, title = {Stable Architectures}, year = {2017},
  eprint = {1705.03341}}
@misc{e2017, author = {E, Weinan}, title = {A Proposal}, year = {2017}}
"""
CLAIM = {
    "id": "1.4",
    "chapter": 1,
    "statement": "A flow cannot swap a < b",
    "source": "Haber & Ruthotto 2017, arXiv 1705.03341; E 2017; folklore",
    "kind": "theorem",
    "outcome": "holds",
    "told": "≤ 1e-12: yes",
}


def picture(**metadata):
    return new_output("display_data", {"image/png": "iVBORw0KGgo="}, metadata={"image/png": metadata})


def notebook(*cells):
    return new_notebook(cells=[new_markdown_cell("# 1 · A title\n\nWords.", id="first"), *cells])


def ready(*cells, name="01_small", claims=(), seconds=(), drawing=0.0):
    """A chapter as it is after its run; `seconds` are those of its cells, in order."""
    path = ROOT / "notebooks" / f"{name}.ipynb"
    lasted = dict(zip((cell.id for cell in cells), seconds, strict=False))
    return execution.Executed(path, notebook(*cells), lasted, drawing, list(claims))


# --- a chapter's page -----------------------------------------------------------------------------------


def test_folding():
    setup = new_code_cell("import math", metadata={"tags": ["setup"]})
    silent = new_code_cell("x = 1", metadata={"tags": ["solution"]})
    telling = new_code_cell("print(1)", metadata={"tags": ["solution"]}, outputs=[new_output("stream", text="1\n")])
    plain = new_code_cell("y = 2")
    before = ready(setup, silent, telling, plain)
    page = chapter.page(before)
    code = [cell for cell in page.cells if cell.cell_type == "code"]
    assert [cell.metadata.get("tags", [])[1:] for cell in code] == [["hide-input"], ["hide-input"], ["hide-cell"], []]
    for prompt in ("code_prompt_show", "code_prompt_hide"):  # a fold is called the same when it is open
        prompts = [cell.metadata["mystnb"][prompt] for cell in code[:3]]
        assert prompts == ["The set-up of this chapter", "A solution", "A solution"]
    assert before.notebook.cells[1].metadata == {"tags": ["setup"]}, "the chapter itself has changed"


def test_a_picture_keeps_its_words():
    cell = new_code_cell("show()", outputs=[picture(alt="A line that falls.", width=300)])
    page = chapter.page(ready(cell))
    assert page.cells[-1].metadata["mystnb"]["image"] == {"alt": "A line that falls."}


def test_a_claim_has_a_place_of_its_own():
    two = new_code_cell('claim("1.4", "a", measured=1)\nclaim(\n    "1.16", "b", measured=f("1.5"))')
    page = chapter.page(ready(new_code_cell('print("claim")'), two))
    target = page.cells[-2]
    assert re.findall(r'id="([^"]+)"', target.source) == ["claim-1-4", "claim-1-16"]
    assert len(page.cells) == 5  # the title, the files, a cell without a claim, the target, the claims


def test_hints_stand_above_the_solution():
    path = ROOT / "notebooks" / "00_start_here.ipynb"
    page = chapter.page(execution.Executed(path, nbformat.read(path, as_version=4), {}, 0.0, []))
    solutions = [i for i, cell in enumerate(page.cells) if "solution" in cell.metadata.get("tags", [])]
    assert len(solutions) == 4
    for i in solutions:
        assert page.cells[i - 1].source.count("<details>") == 2
    nbformat.validate(page)


def test_the_files_to_take_along_are_named():
    page = chapter.page(ready())
    assert 'href="../downloads/notebooks/01_small.ipynb"' in page.cells[1].source
    assert 'href="../downloads/student/01_small.ipynb"' in page.cells[1].source


def test_what_a_reader_waits_for_is_told_apart_from_the_pictures():
    cells = new_code_cell("fit()"), new_code_cell("Explorer()")
    told = chapter.page(ready(*cells, seconds=(60, 1.4), drawing=99.6)).cells[1].source
    assert "It ran in 61 seconds; drawing its explorers for this page took 100 more." in told
    assert "It ran in 61 seconds." in chapter.page(ready(*cells, seconds=(60, 1.4))).cells[1].source


# --- the pages made of records --------------------------------------------------------------------------


def test_a_source_is_looked_up():
    entries = parse_string(BIBTEX, "bibtex")
    assert evidence.keys(CLAIM["source"], entries) == ["haber2017", "e2017"]
    assert evidence.keys("our own", entries) == []
    assert evidence.keys("E 2017; E 2017", entries) == ["e2017"]
    assert evidence.keys("Ruthotto 2017, arXiv 1705.03341", entries) == ["haber2017"], "the id decides"
    assert evidence.keys("Haber 2017, arXiv 9999.99999", entries) == [], "another paper of that year"


def test_evidence():
    against = {**CLAIM, "id": "1.5", "kind": "literature", "outcome": "contradicted", "told": "measured -2"}
    cells = new_code_cell('claim("1.4")'), new_code_cell('claim("1.5")')
    page = evidence.evidence([ready(*cells, claims=[CLAIM, against], seconds=(0.25, 0.01))], BIBTEX)
    assert "2 claims" in page and "against: 1.5." in page
    assert "## 1 · A title" in page
    assert 'href="../notebooks/01_small.html#claim-1-4"' in page
    assert "✓ holds</strong> · ∎ theorem" in page and "≠ contradicted</strong> · ❝ literature" in page
    assert "A flow cannot swap a &lt; b." in page
    assert "≤ 1e−12: yes · 0.2 s · Haber" in page and "measured −2 · less than 0.1 s" in page
    assert page.count("[arXiv 1705.03341](https://arxiv.org/abs/1705.03341)") == 2


def test_a_claim_took_as_long_as_all_code_since_the_last_one():
    two = 'claim("1.3")\nfit()\nclaim("1.2")'
    sources = ["import torch", "fit()", 'claim("1.1")', "fit()", two, 'claim("1.4")', "x"]
    cells = [new_code_cell(source) for source in sources]
    told = evidence.durations(ready(*cells, new_markdown_cell("."), seconds=(1, 2, 4, 8, 16, 0.05, 32)))
    assert told == {
        "1.1": "7.0 s",
        "1.3": "24.0 s together with 1.2",
        "1.2": "24.0 s together with 1.3",
        "1.4": "less than 0.1 s",
    }


@pytest.mark.parametrize(
    ("text", "set"),
    [
        ("measured -0.5, expected at least -1e-05", "measured −0.5, expected at least −1e−05"),
        ("from -.5 to (-1)", "from −.5 to (−1)"),
        ("a 1-Lipschitz layer of 2018-2019", "a 1-Lipschitz layer of 2018-2019"),
    ],
)
def test_a_minus_is_no_hyphen(text, set):
    assert evidence.minus(text) == set


def test_every_source_of_the_chapters_is_found_or_is_ours():
    bibtex = parse_string((ROOT / "book" / "references.bib").read_text(encoding="utf-8"), "bibtex")
    sources = set()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                sources |= set(re.findall(r'source="([^"]+)"', cell.source))
    assert len(sources) > 20
    nameless = [s for s in sources if re.search(r"\b(19|20)\d\d\b", s) and not evidence.keys(s, bibtex)]
    assert not nameless


def test_status(monkeypatch):
    monkeypatch.setattr(status, "PACKAGES", ["numpy"])
    explorer = new_output("display_data", {"text/html": '<div class="explorer-still">' + "x" * 500_000})
    cell = new_code_cell("Explorer()", outputs=[explorer])
    page = status.status([ready(cell, claims=[CLAIM], seconds=[12.3], drawing=98.7)])
    assert "| [1 · A title](../notebooks/01_small.ipynb) | 12 | 99 | 1 | 1 | 0.5 MB |" in page
    assert re.search(r"\| numpy \| \d+\.\d+", page)


# --- the reference -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["layers", "lesson"])
def test_the_reference_has_everything(name):
    text = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    section = text.partition(f"automodule:: helpers.{name}\n")[2].partition("automodule::")[0]
    there = re.findall(r"^\.\. auto(?:class|function|exception):: (\w+)$", section, re.M)
    assert sorted(there) == sorted(importlib.import_module(f"helpers.{name}").__all__)


def test_no_property_is_taken_for_a_type():
    """Of a property's docstring the reference takes what stands before a colon for its type."""
    found = []
    for path in (ROOT / "helpers").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and "property" in "".join(map(ast.unparse, node.decorator_list)):
                first = (ast.get_docstring(node) or "").partition("\n")[0]
                found += [f"{path.name}: {node.name}"] * (":" in first)
    assert found == []


# --- laid out for Sphinx --------------------------------------------------------------------------------


def test_a_page_moves_to_the_top_with_its_links():
    text = "[a](../notebooks/01.ipynb) ![b](../README.png) [c](glossary.md#flow) [d](https://x.org) [e](#here)"
    moved = "[a](notebooks/01.ipynb) ![b](README.png) [c](book/glossary.md#flow) [d](https://x.org) [e](#here)"
    assert assemble.at_the_top(text) == moved


def test_places_to_link_to_become_those_of_sphinx():
    a, b = '<span id="flow"></span>', '<span id="ito"></span>'
    assert assemble.places(f"{a}\n\n### Flow\n\n{b}\n\n### Itô’s\n") == "### Flow\n\n(ito)=\n### Itô’s\n"
    assert assemble.places(f"| {a}$x$, {b}$y$ |") == "| []{#flow}$x$, []{#ito}$y$ |"


def test_every_page_of_the_book_is_in_the_contents():
    there = {path.stem for path in (ROOT / "book").glob("*.md")} - {"index"}
    assert there | {"evidence", "status"} == {name for names in assemble.PAGES.values() for name in names}


def test_assemble(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "PACKAGES", ["numpy"])
    path = ROOT / "notebooks" / "00_start_here.ipynb"
    run = execution.Executed(path, nbformat.read(path, as_version=4), {}, 0.0, [])
    source = assemble.assemble([run], build=tmp_path)
    assert {p.relative_to(source).as_posix() for p in source.rglob("*.ipynb")} == {"notebooks/00_start_here.ipynb"}
    assert (source / "README.png").exists() and (source / "book" / "references.bib").exists()
    opening = (source / "index.md").read_text(encoding="utf-8")
    assert "notebooks/00_start_here\n" in opening and "(../" not in opening
    taken = nbformat.read(tmp_path / "extra/downloads/student/00_start_here.ipynb", as_version=4)
    assert not any("solution" in cell.metadata.get("tags", []) for cell in taken.cells)


# --- executed once --------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    told = "import os\nprint(os.environ['HELPERS_STATIC'], os.path.basename(os.environ['HELPERS_BUILD']))"
    drawing = """import time
time.sleep(0.2)

class Drawn:
    def _repr_mimebundle_(self, **_):
        time.sleep(0.4)
        return {"text/html": "pictures"}, {"text/html": {"seconds": 0.4}}

Drawn()"""
    cells = [new_code_cell(told), new_code_cell(drawing)]
    path = tmp_path / "07_small.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    return path


def test_a_chapter_is_executed_once(small, tmp_path, monkeypatch):
    first = execution.executed(small, tmp_path / "build")
    assert first.notebook.cells[0].outputs[0].text == "1 07_small\n"
    one, other = first.notebook.cells
    assert first.drawing == 0.4 and 0.2 <= first.seconds[other.id] < 0.4 and 0 <= first.seconds[one.id] < 0.2
    assert "seconds" not in other.outputs[0].metadata["text/html"]
    monkeypatch.setattr(execution, "execute", lambda *_, **__: pytest.fail("executed again"))
    records = tmp_path / "build" / "records" / "07_small" / "claims"
    records.mkdir(parents=True)
    for id in ("7.10", "7.2"):
        (records / f"{id}.json").write_text(json.dumps({"id": id}), encoding="utf-8")
    again = execution.executed(small, tmp_path / "build")
    assert (again.seconds, again.drawing) == (first.seconds, first.drawing)
    assert again.notebook.cells == first.notebook.cells
    assert [claim["id"] for claim in again.claims] == ["7.2", "7.10"]


def test_what_a_chapter_is_made_of_decides(tmp_path):
    root = tmp_path / "root"
    (root / "helpers").mkdir(parents=True)
    shutil.copy(ROOT / "constraints.txt", root)
    (root / "helpers" / "a.py").write_text("x = 1")
    chapter = new_notebook(cells=[new_code_cell("x", id="one")])
    seen = [execution.fingerprint(chapter, root)]
    assert execution.fingerprint(chapter, root) == seen[0]
    chapter.cells[0].outputs = [new_output("stream", text="old")]
    assert execution.fingerprint(chapter, root) == seen[0], "stored outputs decide nothing"
    chapter.cells[0].source = "y"
    seen.append(execution.fingerprint(chapter, root))
    (root / "helpers" / "a.py").write_text("x = 2")
    seen.append(execution.fingerprint(chapter, root))
    (root / "constraints.txt").write_text("torch==0")
    seen.append(execution.fingerprint(chapter, root))
    assert len(set(seen)) == 4


# --- the site -------------------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "style.css").write_text('a { background: url("picture.png") } /* @see https://x.org */')
    (tmp_path / "index.html").write_text(
        '<link rel="stylesheet" href="style.css?v=1"><link rel="canonical" href="https://x.org/">'
        '<p id="here"><a href="sub/b.html#there">b</a><a href="#here">up</a><a href="https://x.org">x</a></p>'
    )
    (tmp_path / "sub" / "b.html").write_text(
        '<h1 id="there">B</h1><img src="data:image/png;base64,AA=="><a href="../index.html">a</a>'
    )
    return tmp_path


def test_a_good_site(good):
    assert site.problems(good) == []
    pages, size = site.measure(good)
    assert pages == 2 and size == sum(path.stat().st_size for path in good.rglob("*.*"))


@pytest.mark.parametrize(
    "markup, sentence",
    [
        ('<script src="https://cdn.x.org/a.js"></script>', "asks another host for https://cdn.x.org/a.js"),
        ('<img src="//x.org/a.png">', "asks another host for //x.org/a.png"),
        ('<link rel="preload stylesheet" href="https://x.org/a.css">', "asks another host"),
        ('<iframe src="http://x.org"></iframe>', "asks another host"),
        ('<script src="gone.js"></script>', "gone.js is not there"),
        ('<a href="gone.html">x</a>', "the link to gone.html leads nowhere"),
        ('<a href="sub/b.html#elsewhere">x</a>', "there is no #elsewhere in sub/b.html"),
        ('<a href="#nowhere">x</a>', "there is no #nowhere in index.html"),
    ],
)
def test_a_bad_page(good, markup, sentence):
    page = good / "index.html"
    page.write_text(page.read_text() + markup)
    (found,) = site.problems(good)
    assert found.startswith("index.html: ") and sentence in found


def test_a_bad_style(good):
    (good / "style.css").write_text('@import "https://fonts.x.org/a.css";')
    assert site.problems(good) == ["style.css: asks another host for https://fonts.x.org/a.css"]


def test_a_heavy_page(good, monkeypatch):
    monkeypatch.setattr(site, "HEAVIEST", 100)
    assert "more than 100: store fewer pictures" in site.problems(good)[0]
