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


def test_every_claim_was_made():
    made = records("claims", "id")
    written = {id: chapter.number for chapter in CHAPTERS for id in chapter.claims}
    assert written and set(made) == set(written)
    assert {id: record["chapter"] for id, record in made.items()} == written
    assert all(record["holds"] == (record["outcome"] == "holds") for record in made.values())


def test_every_explorer_was_driven():
    made = records("explorers", "name")
    written = {name for chapter in CHAPTERS for name in chapter.explorers}
    assert written and set(made) == written
    for record in made.values():
        visited = [tuple(state.values()) for state in record["states"]]
        assert len(visited) == len(set(visited)) >= 2
