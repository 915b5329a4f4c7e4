"""A student's copy has the questions and not the answers, and nobody's work is ever overwritten."""

from __future__ import annotations

import nbformat
import pytest

from helpers.chapters import is_draft
from tools import student
from tools.process import ROOT

CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def chapter(tmp_path):
    """A chapter beside which copies can be made: the first real one, so that it has solutions and hints."""
    path = tmp_path / CHAPTERS[0].name
    path.write_bytes(CHAPTERS[0].read_bytes())
    return path


@pytest.fixture
def copies(tmp_path):
    return tmp_path / "student"


def work_in(path, text="my answer = 42"):
    """What a student does: open the copy, write in it, save it."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].source = text
    nbformat.write(notebook, path)
    return path.read_bytes()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_copy_has_every_question_and_no_answer(path):
    solved = nbformat.read(path, as_version=4)
    answers = dict(student.answers(solved))
    exercises = student.exercises_of(solved)
    assert (answers or is_draft(path)) and set(answers.values()) == set(exercises)

    copy = student.student_copy(solved, path.name)
    nbformat.validate(copy)
    by_id = {cell.id: cell for cell in copy.cells}
    for cell in solved.cells:
        if cell.id in answers:
            assert by_id[cell.id].source == cell.metadata.helpers.stub != cell.source
            assert cell.source not in nbformat.writes(copy)
            above = copy.cells[copy.cells.index(by_id[cell.id]) - 1].source
            assert "<details>" in above and all(hint in above for hint in exercises[answers[cell.id]].hints)
        else:
            assert by_id[cell.id].source == cell.source
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert not any("solution" in cell.metadata.get("tags", []) for cell in copy.cells)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_making_a_copy_leaves_the_chapter_alone(path):
    solved = nbformat.read(path, as_version=4)
    student.student_copy(solved, path.name)
    assert solved == nbformat.read(path, as_version=4)


def test_a_copy_is_made_once_and_then_left(chapter, copies):
    assert student.renew(chapter, copies) == ("made", True)
    before = (copies / chapter.name).read_bytes()
    assert student.renew(chapter, copies) == ("as it was", False)
    assert (copies / chapter.name).read_bytes() == before


def test_an_untouched_copy_follows_its_chapter(chapter, copies):
    student.renew(chapter, copies)
    work_in(chapter, "A new ending.")
    done, news = student.renew(chapter, copies)
    assert news and done.startswith("renewed")
    assert nbformat.read(copies / chapter.name, as_version=4).cells[-1].source == "A new ending."


@pytest.mark.parametrize("changed", [False, True], ids=["same chapter", "newer chapter"])
def test_work_is_never_overwritten(chapter, copies, changed):
    student.renew(chapter, copies)
    mine = work_in(copies / chapter.name)
    if changed:
        work_in(chapter, "A new ending.")
    done, news = student.renew(chapter, copies)
    assert (copies / chapter.name).read_bytes() == mine
    assert done.startswith("your work, left as it is") and "--fresh" in done and news == changed


def test_work_in_a_file_that_cannot_be_read_is_not_overwritten_either(chapter, copies):
    copies.mkdir()
    (copies / chapter.name).write_text("half of a noteb")
    student.renew(chapter, copies)
    assert (copies / chapter.name).read_text() == "half of a noteb"


def test_a_copy_that_was_only_run_counts_as_work(chapter, copies):
    student.renew(chapter, copies)
    notebook = nbformat.read(copies / chapter.name, as_version=4)
    next(cell for cell in notebook.cells if cell.cell_type == "code").execution_count = 1
    nbformat.write(notebook, copies / chapter.name)
    assert student.renew(chapter, copies)[0].startswith("your work")


def test_what_jupyterlab_writes_by_itself_is_no_work(chapter, copies):
    student.renew(chapter, copies)
    notebook = nbformat.read(copies / chapter.name, as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    notebook.cells[0].metadata["editable"] = True
    nbformat.write(notebook, copies / chapter.name)
    assert student.renew(chapter, copies) == ("as it was", False)


def test_beginning_again_keeps_every_earlier_attempt(chapter, copies):
    student.renew(chapter, copies)
    first = work_in(copies / chapter.name, "first")
    student.renew(chapter, copies, fresh=True)
    second = work_in(copies / chapter.name, "second")
    student.renew(chapter, copies, fresh=True)
    kept = {path.read_bytes() for path in copies.iterdir() if path.name != chapter.name}
    assert kept == {first, second}
    assert student.renew(chapter, copies) == ("as it was", False)


@pytest.mark.parametrize(
    ("arguments", "named"), [(["--frsh", "01"], "--frsh"), (["--fresh"], "--fresh 01"), (["77"], "77")]
)
def test_a_wrong_option_or_name_is_named_and_nothing_is_made(arguments, named, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(student, "STUDENT", tmp_path / "student")
    assert student.main(arguments) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "student").exists()
