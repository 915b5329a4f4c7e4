"""Storing outputs: the same bytes twice, nothing of the machine, and never a notebook half run."""

from __future__ import annotations

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import refresh

LESSON = """\
import ipywidgets, os, sys, warnings
from IPython.display import display
print("to stdout", os.environ["HELPERS_DEVICE"], os.environ.get("HELPERS_DRIVE"))
print("to stderr", file=sys.stderr)
display(ipywidgets.IntSlider(description="layers"))
print({"b", "a"} == {"a", "b"}, [hash(word) for word in ("h", "x")])
1 / 3
"""


@pytest.fixture
def store(tmp_path):
    """Write a notebook of these code cells, with an identity and tags; return its path."""

    def store(*sources):
        cells = [new_markdown_cell("# Title", id="title")]
        cells += [new_code_cell(source, id=f"code-{i}") for i, source in enumerate(sources)]
        cells[1].metadata.update(
            tags=["numbers-close"], execution={"iopub.status.busy": "2026"}, scrolled=True
        )
        notebook = new_notebook(cells=cells)
        notebook.metadata.update(
            widgets={"state": {}}, title="A lesson", language_info={"name": "python", "version": "3.11.7"}
        )
        nbformat.write(notebook, path := tmp_path / "01_lesson.ipynb")
        return path

    return store


def test_two_runs_store_the_same_bytes_and_no_trace(store, capsys):
    path = store(LESSON, "_")
    assert refresh.refresh(path) is True
    once = path.read_bytes()
    assert refresh.refresh(path) is False
    assert path.read_bytes() == once

    notebook = nbformat.read(path, as_version=4)
    title, code, last = notebook.cells
    assert [title.id, code.id, last.id] == ["title", "code-0", "code-1"]
    assert code.metadata == {"tags": ["numbers-close"]} and last.metadata == {}
    assert notebook.metadata == {
        "title": "A lesson",
        "kernelspec": refresh.KERNEL,
        "language_info": {"name": "python"},
    }
    assert [code.execution_count, last.execution_count] == [1, 2]
    assert code.outputs[0].text == "to stdout cpu None\n" and code.outputs[1].text == "to stderr\n"
    assert [list(output.data) for output in code.outputs[2:] if "data" in output] == [["text/plain"]] * 2
    assert b"widget-view" not in once and last.outputs[0].data["text/plain"].startswith("0.333")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("print('/home/somebody/thing')", "an absolute path: /home/somebody/thing"),
        ("import warnings; warnings.warn('careful')", "an absolute path"),
        ("object()", "an address in memory: at 0x"),
    ],
)
def test_a_notebook_that_fails_or_is_refused_stays_as_it_was(store, monkeypatch, capsys, source, reason):
    path = store("print('fine')", source)
    before = path.read_bytes()
    monkeypatch.setattr(refresh, "choose", lambda names: [path])
    assert refresh.main([]) == 1
    said = capsys.readouterr().err
    assert "01_lesson.ipynb: left as it was" in said and reason in said
    assert path.read_bytes() == before and [other.name for other in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("text", "trace"),
    [
        ("C:\\Users\\somebody\\x.py", True),
        ("at 0x7f0012345678>", True),
        ("/tmp/ipykernel_12/34.py:1: UserWarning", True),
        ("https://example.org/home/page", False),
        ("helpers/home/x.py and 3/4 of it", False),
        ("order 0x, and/or", False),
    ],
)
def test_what_counts_as_a_trace(text, trace):
    cell = new_code_cell("", outputs=[new_output("stream", name="stdout", text=text)])
    if trace:
        with pytest.raises(refresh.Refused, match="cell 0"):
            refresh.refuse_traces(new_notebook(cells=[cell]))
    else:
        refresh.refuse_traces(new_notebook(cells=[cell]))


def test_the_bytes_of_a_picture_are_no_text():
    data = {"image/png": "/tmp/aaaa", "text/html": '<img src="data:image/png;base64,AA/tmp/aaaa">'}
    cell = new_code_cell("", outputs=[new_output("display_data", data=data)])
    refresh.refuse_traces(new_notebook(cells=[cell]))


def test_streams_are_joined_however_they_were_cut():
    def stream(name, text):
        return new_output("stream", name=name, text=text)

    picture = new_output("display_data", data={"text/plain": "picture"})
    after = [picture, stream("stderr", "d")]
    cut = [stream("stderr", "a"), stream("stdout", "b"), stream("stderr", "c"), *after]
    assert refresh.streams_joined(iter(cut)) == [stream("stdout", "b"), stream("stderr", "ac"), *after]


def test_choosing_notebooks(tmp_path, capsys):
    for name in ("01_a.ipynb", "02_b.ipynb", "02_c.ipynb"):
        (tmp_path / name).touch()

    def chosen(*names):
        return [path.stem for path in refresh.choose(names, tmp_path)]

    assert chosen() == ["01_a", "02_b", "02_c"]
    assert chosen("02") == ["02_b", "02_c"]
    assert chosen("02_c.ipynb", "01", "01_a") == ["01_a", "02_c"]
    assert chosen(str(tmp_path / "02_b.ipynb")) == ["02_b"]
    with pytest.raises(ValueError, match="no notebook '03'; those there are: 01_a, 02_b, 02_c"):
        chosen("03")


def test_an_unknown_name_is_one_line(capsys):
    assert refresh.main(["99_nothing"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
