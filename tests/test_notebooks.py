"""The stored notebooks against the contract of a chapter, and each rule against a notebook that breaks it."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.contract import RULES, Chapter, problems, repeated
from tools.refresh import KERNEL, WIDGET

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_chapter_keeps_the_contract(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert not problems(path), "\n" + "\n".join(problems(path))


def test_names_are_unique_in_the_collection():
    assert not repeated([Chapter.read(path) for path in NOTEBOOKS])


# --- the rules themselves -------------------------------------------------------------------------------

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WORD = "depth "


def picture(alt="A line"):
    data = {"image/png": PIXEL, "text/plain": "<Figure 440x220>"}
    return new_output("display_data", data, metadata={"image/png": {"alt": alt}})


def code(source, *outputs, tags=(), **metadata):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags), **metadata})


def good(number="07"):
    """A chapter that keeps every rule, in a few lines."""
    n = int(number)
    cells = [
        new_markdown_cell("# Seven\n\n" + WORD * 220),
        code("from helpers.lesson import claim", tags=["setup"]),
    ]
    cells += [code(f'claim("{n}.{i}", "s", source="x", measured=1, at_most=1)') for i in range(1, 9)]
    cells += [code(f'Explorer(build, name="{number}-e{i}")', picture()) for i in range(1, 4)]
    for i in range(1, 6):
        cells += [code(f"answer = {i}", tags=["solution"], helpers={"stub": "answer = ..."})]
        cells += [code(f'exercises["E{n}.{i}"].check(answer)', tags=["check"])]
    for count, cell in enumerate((c for c in cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


@pytest.fixture
def found(tmp_path):
    """What the rules find in a notebook."""

    def look(notebook, name="07_seven.ipynb"):
        path = tmp_path / name
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return problems(path)

    return look


def test_a_good_chapter_breaks_nothing(found):
    nbformat.validate(good())
    assert found(good()) == []


def test_the_map_may_hold_less(found):
    notebook = good("00")
    notebook.cells = [
        c
        for c in notebook.cells
        if not any(s in c.source for s in ('"0.7"', '"0.8"', "e2", "e3", "= 5", '"E0.5"].'))
    ]
    notebook.cells[0].source = "# A map"
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
    assert found(notebook, "00_map.ipynb") == []
    notebook.cells = [c for c in notebook.cells if '"0.6"' not in c.source]
    assert any("5 claims, at least 6" in p for p in found(notebook, "00_map.ipynb"))


def cell_of(notebook, text):
    return next(c for c in notebook.cells if text in c.source)


def edit(text, **changed):
    """A mutation: change attributes of the cell that holds `text`."""

    def change(notebook):
        cell_of(notebook, text).update(changed)

    return change


def say(text, *outputs, source=None):
    """A mutation: give the cell that holds `text` these outputs, or this source."""
    return edit(text, **({"outputs": list(outputs)} if outputs else {"source": source}))


def stream(text):
    return new_output("stream", name="stdout", text=text)


def drop(text):
    def change(notebook):
        notebook.cells.remove(cell_of(notebook, text))
        for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
            cell.execution_count = count

    return change


def metadata(**changed):
    return lambda notebook: notebook.metadata.update(changed)


def long_cells(count, lines):
    def change(notebook):
        for cell in [c for c in notebook.cells if c.cell_type == "code"][:count]:
            cell.source += "\nx = 1" * (lines - 1)
        notebook.cells[0].source = WORD * 10 * sum(c.source.count("\n") + 1 for c in notebook.cells[1:])

    return change


BROKEN = {
    "a cell not run": (edit("7.1", execution_count=None), "not run once each, in order"),
    "run out of order": (edit('"7.2"', execution_count=40), "not run once each, in order"),
    "an error": (
        say("7.1", new_output("error", ename="ValueError", evalue="no", traceback=[])),
        "stores an error: ValueError",
    ),
    "another kernel": (metadata(kernelspec={"name": "my-env"}), "kernelspec must be"),
    "a version": (
        metadata(language_info={"name": "python", "version": "3.11.7"}),
        "language_info must hold the name alone",
    ),
    "widget state": (metadata(widgets={}), "metadata.widgets"),
    "a time": (edit("7.1", metadata={"execution": {}}), "stores the time"),
    "a cell not compared": (edit("7.1", metadata={"tags": ["nbval-skip"]}), "cell 2 is kept from nbval"),
    "an output not compared": (say("answer = 1", source="answer = 1  # NBVAL_SKIP"), "is kept from nbval"),
    "a widget's id": (
        say("e1", new_output("display_data", {WIDGET: {}, "text/plain": "E"})),
        "stores the id of a widget",
    ),
    "a widget alone": (
        say("e1", new_output("display_data", {"text/plain": "interactive(children=())"})),
        "shows a widget alone",
    ),
    "too large": (say("7.1", stream("depth" * 300_001)), "bytes are more than 1,500,000"),
    "a path in code": (
        say("7.1", source='claim("7.1", open("/home/me/data.txt"))'),
        "a code cell holds an absolute path: /home/me",
    ),
    "a path in text": (
        say("# Seven", source=r"saved in C:\Users\me " + WORD * 220),
        "a markdown cell holds an absolute path",
    ),
    "a path in output": (
        say("7.1", stream("wrote /tmp/x/y.png")),
        "output of code cell 2 holds an absolute path: /tmp/x/y.png",
    ),
    "an address in memory": (say("7.1", stream("<f at 0x7f8a12345678>")), "holds an address in memory"),
    "an address": (say("answer = 1", source='answer = "https://example.org"'), "used the network: https://"),
    "a request": (say("answer = 1", source="import requests; answer = 1"), "used the network: requests"),
    "a fetch": (say("answer = 1", source="answer = fetch_openml(3)"), "used the network: fetch_openml"),
    "a download": (say("answer = 1", source="answer = MNIST(download = True)"), "used the network: download"),
    "an installation": (say("answer = 1", source="%pip install x\nanswer = 1"), "used the network: %pip"),
    "no alt text": (say("e1", picture(alt=" ")), "code cell 10 shows a picture without alt text"),
    "no alt text in the text": (
        say("# Seven", source="![](a.png)" + WORD * 220),
        "a picture in the text has no alt text",
    ),
    "no alt text in HTML": (
        say("# Seven", source='<img src="a.png"> ' + WORD * 220),
        "a picture in the text has no alt text",
    ),
    "a long cell": (long_cells(1, 41), "code cell 1 has 41 lines, more than 40"),
    "many long cells": (long_cells(3, 21), "3 of 22 code cells have more than 20 lines"),
    "a long median": (long_cells(12, 7), "the median code cell has 7 lines, more than 6"),
    "few words": (
        say("# Seven", source=WORD * 100),
        "100 words for 22 lines of code are 4.5 a line, not 8 to 12",
    ),
    "many words": (say("# Seven", source=WORD * 220 + "## and so on " * 100), "a line, not 8 to 12"),
    "no set-up cell": (edit("import claim", metadata={}), "must be tagged 'setup'; tagged: none"),
    "two set-up cells": (edit("7.1", metadata={"tags": ["setup"]}), "tagged: [1, 2]"),
    "opens with code": (lambda notebook: notebook.cells.append(notebook.cells.pop(0)), "must open with text"),
    "not Python": (say("answer = 1", source="answer = = 1"), "code cell 13 is not Python"),
    "few claims": (drop('"7.8"'), "7 claims, at least 8"),
    "few explorers": (drop("e3"), "2 explorers, at least 3"),
    "few exercises": (
        lambda notebook: (drop("answer = 5")(notebook), drop('"E7.5"].check')(notebook)),
        "4 exercises, at least 5",
    ),
    "a claim of another chapter": (
        say('"7.8"', source='claim("6.8")'),
        "claim 6.8 does not begin with the number",
    ),
    "an explorer of another chapter": (
        say("e3", source='Explorer(f, name="06-e3")'),
        "explorer 06-e3 does not begin",
    ),
    "a claim twice": (say('"7.8"', source='claim("7.7")'), "claim 7.7 occurs more than once"),
    "a name made up": (say('"7.8"', source='claim(f"7.{8}")'), "the id of every claim must be written out"),
    "an explorer without name": (
        say("e3", source="Explorer(f)"),
        "the id of every explorer must be written out",
    ),
    "no stub": (
        edit("answer = 1", metadata={"tags": ["solution"]}),
        "a solution without metadata helpers.stub",
    ),
    "a broken stub": (
        edit("answer = 1", metadata={"tags": ["solution"], "helpers": {"stub": "="}}),
        "stub is not Python",
    ),
    "a wide line": (edit("answer = 1", source="answer = 1  # " + "x" * 100), "characters, more than 100"),
    "a wide stub": (
        edit("answer = 1", metadata={"tags": ["solution"], "helpers": {"stub": "answer = ...  # " + "x" * 100}}),
        "characters, more than 100",
    ),
    "no check": (drop('"E7.5"].check'), "is a solution that no cell checks"),
    "no check between": (drop('"E7.2"].check'), "is a solution that no cell checks before the next"),
    "no solution": (drop("answer = 2"), "checks an exercise without a solution before it"),
    "an untagged check": (edit('"E7.5"].check', metadata={}), "is not tagged 'check'"),
    "a check of nothing": (say('"E7.5"].check', source="answer"), "is tagged 'check' and checks nothing"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_chapter_is_found_out(case, found):
    change, told = BROKEN[case]
    notebook = good()
    change(notebook)
    lines = found(notebook)
    assert any(told in line for line in lines), lines
    assert all(line.startswith("07_seven.ipynb: ") and "\n" not in line for line in lines)


def test_every_rule_was_seen_to_find_something(tmp_path):
    silent = set(RULES)
    for change, _ in BROKEN.values():
        notebook = good()
        change(notebook)
        path = tmp_path / "07_seven.ipynb"
        path.write_text(json.dumps(notebook), encoding="utf-8")
        silent -= {rule for rule in silent if list(rule(Chapter.read(path)))}
    assert not silent


def test_a_draft_need_not_be_whole_and_is_held_to_everything_else(found):
    notebook = good()
    notebook.cells = [c for c in notebook.cells if "claim(" not in c.source and "Explorer(" not in c.source]
    notebook.cells[1].source = "x = 1  # " + "x" * 100
    of_a_chapter = found(notebook)
    notebook.metadata["helpers"] = {"draft": True}
    of_a_draft = found(notebook)
    for told in ("claims, at least", "a line, not"):
        assert any(told in line for line in of_a_chapter), told
    assert not any("at least" in line or "a line, not" in line for line in of_a_draft)
    assert any("more than 100" in line for line in of_a_draft)


def test_a_file_without_a_number_is_found_out(found):
    assert any("must begin with the number of the chapter" in line for line in found(good(), "seven.ipynb"))


def test_names_that_two_chapters_share_are_found_out(tmp_path):
    for name in ("07_a.ipynb", "07_b.ipynb"):
        (tmp_path / name).write_text(json.dumps(good()), encoding="utf-8")
    told = repeated([Chapter.read(path) for path in tmp_path.glob("*.ipynb")])
    assert (
        "claims: 7.1 occurs 2 times" in told and "explorers: 07-e1 occurs 2 times" in told and len(told) == 16
    )


def test_formulas_and_markup_are_not_prose(found):
    notebook = good()
    notebook.cells[0].source = (
        WORD * 176
        + "$$ "
        + WORD * 900
        + "$$ ```python\n"
        + WORD * 900
        + "``` <b></b> | --- | [a](b c d) $x + y$"
    )
    assert found(notebook) == []  # 176 + 2 words for 22 lines
