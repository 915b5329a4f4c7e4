"""The table of flows measures what it says, with and without the peer."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch

from bench import flows
from helpers.layers import MLPField


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(flows, "BATCH", 4)
    monkeypatch.setattr(flows, "interleaved", lambda runs: {name: run() is None or 1.0 for name, run in runs.items()})


def test_without_the_peer_the_table_says_so(small, monkeypatch):
    monkeypatch.setattr(flows, "find_spec", lambda name: None)
    table = flows.table("cpu")
    assert table.rows == [("helpers", 1e3, 1, 1e3, 1, None)] and "torchdyn is not installed" in table.about


@pytest.mark.skipif(not find_spec("torchdyn"), reason="needs torchdyn")
def test_the_peer_solves_the_same(small):
    row = flows.table("cpu").rows[1]
    assert row[0] == "torchdyn" and 0 < row[-1] < 0.1
    torch.manual_seed(0)
    field, x = MLPField(2, 8), torch.randn(4, 2)  # without time: torchdyn's rk4 takes that at wrong places
    logs = [way(x) for way in flows.ways(field).values()]
    torch.testing.assert_close(*logs, rtol=1e-5, atol=1e-5)
    found = [flows.with_gradient(way, x, tuple(field.parameters()))() for way in flows.ways(field).values()]
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
