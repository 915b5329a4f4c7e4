"""The benchmark measures what it says: the same field, counted evaluations, a floor without a solver."""

import torch

from bench import backward, forward, timing
from bench.fields import fields


def test_fields_count_their_evaluations():
    field, y0 = fields("cpu")["small"]
    assert y0.shape == (128, 2)
    assert forward.evaluations(field, lambda: [field(None, y0) for _ in range(7)]) == 7


def test_both_solvers_are_charged_for_their_own_evaluations(monkeypatch):
    monkeypatch.setattr(forward, "interleaved", lambda contestants: dict.fromkeys(contestants, 2.0))
    field, y0 = fields("cpu")["small"]
    with torch.no_grad():
        fixed, adaptive = forward.fixed_step(field, y0), forward.adaptive(field, y0)
    assert {row["nfe"] for row in fixed.values()} == {4 * forward.STEPS}
    assert all(row["ratio"] == 1 and row["error"] < 1e-4 for row in adaptive.values())


def test_contestants_take_turns():
    order = []
    seconds = timing.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3, at_least=0)
    assert list(seconds) == ["a", "b"] and all(s > 0 for s in seconds.values())
    assert order[-6:] == ["a", "b"] * 3


def test_every_gradient_is_measured_against_a_chain_of_its_own_length(monkeypatch):
    asked = []
    monkeypatch.setattr(backward, "interleaved", lambda runs, n: asked.append(set(runs)) or dict.fromkeys(runs, 1.0))
    lines = backward.table("cpu")
    rows = [line.split() for line in lines[1:]]
    assert len(rows) == 3 * len(backward.SOLVES)
    forward_calls = {" ".join(row[1:3]): int(row[-2]) for row in rows}
    assert forward_calls["helpers backprop"] == 80 and forward_calls["helpers reversible"] == 160
    assert all({"bare 80", "bare 160"} <= runs for runs in asked)
