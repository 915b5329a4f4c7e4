"""After the notebooks ran: every claim and explorer in their sources has left its record, nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.lesson.records import build_folder
from tests.contract import Chapter

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
CHAPTERS = [Chapter.read(path) for path in NOTEBOOKS]

pytestmark = pytest.mark.after_notebooks


def records(folder: str, key: str) -> dict[str, dict]:
    """The records of one kind; each must stand in the file of its own name."""
    read = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in (build_folder() / folder).glob("*.json")
    }
    assert all(record[key] == name for name, record in read.items())
    return read


def test_no_record_is_of_something_else():
    everything = {id for chapter in CHAPTERS for id in chapter.claims}, {n for c in CHAPTERS for n in c.explorers}
    assert set(records("claims", "id")) <= everything[0] and set(records("explorers", "name")) <= everything[1]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.path.stem)
def test_every_claim_was_made(chapter):
    made = records("claims", "id")
    assert [id for id in chapter.claims if id not in made] == []
    for record in (made[id] for id in chapter.claims):
        assert record["chapter"] == chapter.number and record["holds"] == (record["outcome"] == "holds")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.path.stem)
def test_every_explorer_was_driven(chapter):
    made = records("explorers", "name")
    assert [name for name in chapter.explorers if name not in made] == []
    for name in chapter.explorers:
        visited = [tuple(state.values()) for state in made[name]["states"]]
        assert len(visited) == len(set(visited)) >= 2
