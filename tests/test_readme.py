"""The README tells the truth: its picture, its links and its commands."""

import re

import nbformat

from helpers.chapters import written
from tools.process import ROOT
from tools.refresh import NOTEBOOKS, README_PICTURE, readme_picture
from tools.tasks import TASKS

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_picture_is_the_stored_one_of_a_chapter():
    chapters = [nbformat.read(path, as_version=4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    pictures = [picture for picture in map(readme_picture, chapters) if picture]
    assert pictures == [README_PICTURE.read_bytes()]
    assert f"]({README_PICTURE.name})" in TEXT


def test_its_links_lead_somewhere():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", TEXT)
    targets += re.findall(r"`([A-Z]\w+[\w.-]*\.(?:cff|md)|LICENSE[-\w]*)`", TEXT)
    assert len(targets) >= 5
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_its_commands_are_tasks():
    named = set(re.findall(r"(?:make|python run\.py) ([a-z]+)", TEXT))
    assert {"lab", "test", "bench"} <= named <= set(TASKS)


def test_it_lists_every_chapter_that_is_whole_and_no_draft():
    listed = re.findall(r"^\| \d \| \[[^\]]+\]\(notebooks/([^)]+)\)", TEXT, flags=re.M)
    assert listed == list(written().values())
