"""Claims: what holds, what is printed, what is refused, what is recorded."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest
import torch

from helpers.lesson import ClaimFailed, claim


@pytest.fixture(autouse=True)
def records(monkeypatch, tmp_path):
    """A notebook of its own for every test: no earlier claims, records in a folder of its own."""
    monkeypatch.setenv("HELPERS_BUILD", str(tmp_path))
    monkeypatch.setattr(sys.modules["helpers.lesson.claim"], "_statements", {})
    return tmp_path / "claims"


@pytest.fixture
def said(capsys):
    """Make a claim, return the line that it prints."""

    def make(**changed):
        make_claim(**changed)
        out = capsys.readouterr().out
        assert out.endswith("\n") and out.count("\n") == 1
        return out[:-1]

    return make


def make_claim(id="1.3", statement="It converges", **changed):
    claim(id, statement, **{"source": "Lu et al. 2018, 1710.10121", **changed})


# --- the line -------------------------------------------------------------------------------------------


def test_the_line_names_verdict_kind_measurement_and_statement(said):
    line = said(measured=0.97612345, expected=1, tol=0.1, kind="observation")
    assert line == "✓ 1.3 holds · ◇ observation · measured 0.9761, expected 1 ± 0.1 · It converges"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"measured": 0.5, "at_most": 0.7}, "measured 0.5, expected at most 0.7"),
        ({"measured": 0.96, "at_least": 0.94}, "measured 0.96, expected at least 0.94"),
        ({"measured": 1234.5678, "at_most": 2000}, "measured 1235, expected at most 2000"),
        ({"measured": 0.97612345, "expected": 1, "tol": 0.1, "digits": 2}, "measured 0.98, expected 1 ± 0.1"),
        ({"measured": 0, "at_most": 0}, "measured 0, expected at most 0"),
        ({"measured": True, "expected": True}, "measured yes, expected yes"),
        ({"measured": -0.0001, "at_least": -0.001}, "measured -0.0001, expected at least -0.001"),
        # rounding level, or declared so: the bound alone
        ({"measured": 3.7e-13, "at_most": 1e-10}, "≤ 1e-10: yes"),
        ({"measured": 3.7e-13, "at_most": 1}, "≤ 1: yes"),
        ({"measured": 0.0, "at_least": -1e-12}, "≥ -1e-12: yes"),
        ({"measured": 1 + 1e-13, "expected": 1.0, "tol": 1e-9}, "within 1e-09 of 1: yes"),
        ({"measured": 1.5e-4, "at_most": 1e-3, "digits": 0}, "≤ 0.001: yes"),
    ],
)
def test_what_is_printed_of_the_measurement(said, changed, told):
    assert said(**changed) == f"✓ 1.3 holds · ∎ theorem · {told} · It converges"


def test_rounding_differences_do_not_change_the_line(said):
    assert said(measured=3.7e-13, at_most=1e-10) == said(measured=8.1e-14, at_most=1e-10)
    assert said(measured=0.97612345, expected=1, tol=0.1) == said(measured=0.97612999, expected=1, tol=0.1)


def test_contradiction_is_an_outcome_of_its_own(said):
    line = said(measured=0.5, at_least=0.94, outcome="contradicted", kind="literature")
    assert line.startswith("≠ 1.3 contradicted · ❝ literature · measured 0.5, expected at least 0.94")


def test_on_a_page_the_line_stands_beside_a_block_that_breaks_at_words(monkeypatch, capsys):
    seen, module = [], sys.modules["helpers.lesson.claim"]
    monkeypatch.setattr(module, "on_a_page", lambda: True)
    monkeypatch.setattr(module, "display", lambda data, raw: seen.append(data))
    make_claim(statement="a < b", source="A & B", measured=0.5, at_most=1, kind="observation")
    make_claim(id="1.4", measured=0.5, at_least=0.94, outcome="contradicted")
    (holds, contradicted) = seen
    assert holds["text/plain"] == "✓ 1.3 holds · ◇ observation · measured 0.5, expected at most 1 · a < b"
    block = holds["text/html"]
    assert "<strong>✓ 1.3 holds</strong> · ◇ observation · measured 0.5, expected at most 1<br>a &lt; b<br>" in block
    assert ">A &amp; B</small>" in block and "<pre" not in block
    assert "<strong>≠ 1.4 contradicted</strong>" in contradicted["text/html"]
    assert module.COLOURS["holds"] in block and module.COLOURS["contradicted"] in contradicted["text/html"]
    assert capsys.readouterr().out == ""


# --- what holds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"measured": 1.1, "expected": 1, "tol": 0.05},
        {"measured": 0.7000001, "at_most": 0.7},
        {"measured": 0.93, "at_least": 0.94},
        {"measured": False, "expected": True},
        {"measured": [1, 1, 3], "at_most": 2},
        {"measured": [1.0, 2.0], "expected": [1, 3], "tol": 0.1},
        {"measured": 1, "at_most": 0},
    ],
)
def test_what_does_not_hold_raises(changed):
    with pytest.raises(ClaimFailed, match=r"1.3 was declared 'holds', but what was measured says 'contradicted'"):
        make_claim(**changed)
    make_claim(**changed, outcome="contradicted")


def test_what_holds_is_no_contradiction():
    with pytest.raises(ClaimFailed, match="was declared 'contradicted', but what was measured says 'holds'"):
        make_claim(measured=1.0, at_most=2, outcome="contradicted")


def test_a_failure_shows_the_digits_that_the_line_rounds_away():
    with pytest.raises(ClaimFailed, match="measured 0.70000001, expected at most 0.7"):
        make_claim(measured=0.70000001, at_most=0.7)
    with pytest.raises(ClaimFailed, match="measured 3e-09, expected at most 1e-10"):
        make_claim(measured=3e-9, at_most=1e-10)


def test_bounds_themselves_are_allowed():
    make_claim(measured=0.7, at_most=0.7)
    make_claim(measured=0.7, at_least=0.7)
    make_claim(measured=0.5, expected=1.0, tol=0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [1.0, math.nan]])
@pytest.mark.parametrize("outcome", ["holds", "contradicted"])
def test_what_is_not_finite_shows_nothing(value, outcome):
    with pytest.raises(ClaimFailed, match="not finite"):
        make_claim(measured=value, at_least=-math.pi, outcome=outcome)


NUMBERS = [
    1.5,
    1,
    True,
    np.float64(1.5),
    np.float32(1.5),
    np.int64(1),
    torch.tensor(1.5),
    [1.5, 1],
    (1.0, 1.5),
]
NUMBERS += [torch.tensor(1.5, requires_grad=True), np.array([[1.0], [1.5]]), torch.ones(2, 3), range(2)]
NUMBERS += [[torch.tensor(1.0), 1.5]]


@pytest.mark.parametrize("measured", NUMBERS, ids=repr)
def test_numbers_of_any_library(measured):
    make_claim(measured=measured, at_most=1.5)
    with pytest.raises(ClaimFailed):
        make_claim(measured=measured, at_most=0.5)


def test_the_worst_of_many_is_the_one_that_is_told(said):
    orders = [0.998, 1.001, 2.010, 1.945, 4.008]
    line = said(measured=orders, expected=[1, 1, 2, 2, 4], tol=0.07)
    assert "measured 1.945, expected 2 ± 0.07 (worst of 5)" in line
    assert "measured 3.2, expected at least 3 (worst of 2)" in said(measured=[9.0, 3.2], at_least=3)
    assert "measured 0.2, expected at most 0.3 (worst of 2)" in said(measured=[0.1, 0.2], at_most=[0.9, 0.3])
    told = said(measured=[9, 2.5], expected=[1, 2], tol=[10, 1])
    assert "measured 9, expected 1 ± 10 (worst of 2)" in told


# --- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"measured": 1.0}, "exactly one of expected, at_most, at_least; got none"),
        ({"measured": 1.0, "at_most": 2, "at_least": 0}, "got at_most and at_least"),
        ({"measured": 1.0, "expected": 1}, "expected needs tol"),
        ({"measured": 1.0, "at_most": 1, "tol": 0.1}, "tol belongs to expected, not to at_most"),
        ({"measured": 1.0, "expected": 1, "tol": 0}, "tol must be positive"),
        ({"measured": 1.0, "expected": 1, "tol": -0.1}, "tol must be positive"),
        ({"measured": True, "expected": True, "tol": 0.1}, "needs no tol"),
        ({"measured": 1.0, "at_most": math.inf}, "at_most must be finite"),
        ({"measured": 1.0, "expected": 1, "tol": math.nan}, "tol must be finite"),
        ({"measured": [1.0, 2.0, 3.0], "at_most": [1, 2]}, "2 values of at_most for 3 measured"),
        ({"measured": "1", "at_most": 1}, "measured must be a real number"),
        ({"measured": None, "at_most": 1}, "measured must be a real number"),
        ({"measured": 1j, "at_most": 1}, "measured must be a real number"),
        ({"measured": [], "at_most": 1}, "measured must be a real number"),
        (
            {"measured": 1.0, "at_most": 1, "kind": "lemma"},
            "kind must be one of theorem, literature, observation",
        ),
        ({"measured": 1.0, "at_most": 1, "outcome": "fails"}, "outcome must be one of holds, contradicted"),
        ({"measured": 1.0, "at_most": 1, "source": " "}, "source must not be empty"),
        ({"measured": 1.0, "at_most": 1, "statement": ""}, "statement must not be empty"),
        ({"measured": 1.0, "at_most": 1, "statement": "a\nb"}, "statement must be one line"),
        ({"measured": 1.0, "at_most": 1, "id": "one"}, "id must be chapter and number"),
        ({"measured": 1.0, "at_most": 1, "id": "1.3.2"}, "id must be chapter and number"),
        ({"measured": 1.0, "at_most": 1, "id": 1.3}, "id must be chapter and number"),
        ({"measured": 1.0, "at_most": 1, "digits": 5}, "digits must be 0 to 4"),
    ],
)
def test_malformed_calls(changed, told, records, capsys):
    with pytest.raises(ValueError, match=told):
        make_claim(**changed)
    assert not records.exists() and not capsys.readouterr().out


def test_an_id_stands_for_one_statement():
    make_claim(measured=1.0, at_most=1)
    make_claim(measured=0.5, at_most=1)  # the same cell, run again
    with pytest.raises(ValueError, match="'1.3' is taken in this notebook, by the claim: It converges"):
        make_claim(statement="It diverges", measured=1.0, at_most=1)


# --- the record -----------------------------------------------------------------------------------------


def test_record(records):
    make_claim(id="00.1", measured=np.float64(0.976), expected=1, tol=0.1, kind="literature")
    record = json.loads((records / "00.1.json").read_text(encoding="utf-8"))
    assert record == {
        "id": "00.1", "chapter": 0, "statement": "It converges", "source": "Lu et al. 2018, 1710.10121",
        "kind": "literature", "outcome": "holds", "measured": 0.976, "expectation": "expected", "bound": 1,
        "tol": 0.1, "holds": True, "told": "measured 0.976, expected 1 ± 0.1",
    }  # fmt: skip


def test_record_of_many_and_of_a_contradiction(records):
    make_claim(measured=[0.5, 0.6], at_least=[0.9, 0.8], outcome="contradicted")
    record = json.loads((records / "1.3.json").read_text(encoding="utf-8"))
    assert (record["measured"], record["bound"], record["tol"]) == ([0.5, 0.6], [0.9, 0.8], None)
    assert (record["outcome"], record["holds"]) == ("contradicted", False)


def test_a_failed_claim_leaves_no_record(records):
    with pytest.raises(ClaimFailed):
        make_claim(measured=3.0, at_most=1)
    assert not records.exists()


def test_a_folder_that_cannot_be_written_is_no_hindrance(monkeypatch, tmp_path, said):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HELPERS_BUILD", str(tmp_path / "file"))
    assert said(measured=1.0, at_most=1).startswith("✓")


def test_a_copy_outside_a_checkout_writes_nothing(monkeypatch, tmp_path, said):
    monkeypatch.delenv("HELPERS_BUILD")
    monkeypatch.setattr(sys.modules["helpers.lesson.records"], "REPOSITORY", tmp_path)
    assert said(measured=1.0, at_most=1).startswith("✓")
    assert not list(tmp_path.iterdir())


def test_the_lesson_loads_no_torch(run_python):
    assert run_python("import sys, helpers.lesson; print('torch' in sys.modules)") == "False\n"
