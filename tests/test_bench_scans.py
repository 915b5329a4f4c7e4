"""The table of scans measures what it says, with and without the peer."""

import pytest
import torch

from bench import scans


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(scans, "LENGTHS", {"S4D": (16, 64), "selective scan": (64,)})
    monkeypatch.setattr(scans, "find_spec", lambda name: None)
    monkeypatch.setattr(scans, "cpu_time", lambda runs: {name: [run() is None or 1.0] for name, run in runs.items()})


def test_every_way_is_measured_at_every_length(small):
    table = scans.table("cpu")
    assert [row[:3] for row in table.rows] == [
        *(("S4D", n, way) for n in ("16", "64") for way in ("two-level kernel", "Vandermonde kernel")),
        ("selective scan", "64", "selective_scan"),
    ]
    assert "mambapy is not installed" in table.about and all(row[4] == 1 for row in table.rows)
    assert [row[5] for row in table.rows] == [None, None, 1, 1, None]


@pytest.mark.parametrize("what", scans.CASES)
def test_the_ways_compute_the_same(what, monkeypatch):
    monkeypatch.setattr(scans, "find_spec", lambda name: None)
    inputs, ways = scans.CASES[what](100, "cpu")
    found = [way(*inputs) for way in ways.values()]
    assert all(torch.allclose(y, found[0], atol=1e-4) for y in found)


def test_what_is_kept_is_counted_without_inputs_and_output():
    assert scans.kept(lambda x: x * 2, [torch.ones(1000)]) == 0
    assert scans.kept(lambda x: (x * 2).exp() * 3, [torch.ones(1000)]) == 4000
    assert scans.kept(lambda x: x.view(10, 100) * x.view(10, 100).mT.reshape(10, 100), [torch.ones(1000)]) == 4000


def test_turns_are_taken_by_all():
    calls = []
    seconds = scans.cpu_time({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3)
    assert {name: len(s) for name, s in seconds.items()} == {"a": 3, "b": 3}
    assert all(set(calls[i : i + 2]) == {"a", "b"} for i in range(0, 8, 2))
