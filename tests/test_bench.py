"""The benchmark measures what it says: counted evaluations, a floor without a solver, memory to the byte."""

import re

import pytest
import torch

from bench import __main__ as command
from bench import backward, cde, forward, images, implicit, memory, peers, remote, report, stochastic, timing
from bench.fields import STEPS, VanDerPol, fields, stiff_fields

HERE = {"helpers", "torchdiffeq"}


@pytest.fixture(autouse=True)
def without_other_peers(monkeypatch):
    """The tests are the same whether or not the peers are installed."""
    monkeypatch.setattr(peers, "SOLVERS", {name: peers.SOLVERS[name] for name in sorted(HERE)})
    for module in (forward, backward, memory, implicit):
        monkeypatch.setattr(module, "taking_part", lambda *_, **__: _Nobody())


class _Nobody:
    def __enter__(self):
        return None

    def __exit__(self, *_):
        pass


def untimed(contestants, *_, **__):
    """Instead of `timing.interleaved`: everyone runs once and takes a second."""
    for function in contestants.values():
        function()
    return dict.fromkeys(contestants, 1.0)


# --- counts -------------------------------------------------------------------------------------------------------


def test_fields_count_their_evaluations():
    field, y0 = fields("cpu")["small"]
    assert y0.shape == (128, 2)
    assert forward.evaluations(field, lambda: [field(None, y0) for _ in range(7)]) == 7


def test_the_fields_are_those_that_are_described():
    made = fields("cpu")
    assert {name: tuple(y0.shape) for name, (_, y0) in made.items()} == {
        "small": (128, 2),
        "mid": (256, 64),
        "conv": (32, 16, 32, 32),
    }
    assert made.keys() == STEPS.keys()


def test_both_solvers_are_charged_for_their_own_evaluations(monkeypatch):
    monkeypatch.setattr(forward, "interleaved", untimed)
    monkeypatch.setattr(forward, "fields", lambda device: {"small": fields(device)["small"]})
    rows = [dict(zip(forward.COLUMNS, row, strict=True)) for row in forward.table("cpu").rows]
    assert {(row["solver"], row["method"]) for row in rows} == {(s, m) for s in HERE for m in ("rk4", "dopri5")}
    assert {row["NFE"] for row in rows if row["method"] == "rk4"} == {4 * STEPS["small"]}
    assert all(row["time / B"] == 1 and row["error"] < 1e-4 for row in rows)


def test_a_method_with_more_stages_takes_fewer_steps():
    six = peers.Solver(None, None, stages=6)
    assert six.steps(80) == 13


def test_every_gradient_is_measured_against_a_chain_of_its_own_length(monkeypatch):
    asked = []
    monkeypatch.setattr(backward, "interleaved", lambda runs, *_: asked.append(set(runs)) or untimed(runs))
    monkeypatch.setattr(backward, "fields", lambda device: {"small": fields(device)["small"]})
    table = backward.table("cpu")
    calls = {row[1]: row[3] for row in table.rows}
    assert calls.keys() == {*(f"helpers {how}" for how in backward.GRADIENTS), "torchdiffeq", backward.ADJOINT}
    assert calls["helpers backprop"] == 80 and calls["helpers reversible"] == 160
    assert {f"bare {count}" for count in calls.values()} <= asked[0]


def test_the_outputs_table_is_per_output(monkeypatch):
    monkeypatch.setattr(backward, "OUTPUTS", (3, 5))
    monkeypatch.setattr(backward, "interleaved", untimed)
    assert {row[0]: row[3] for row in backward.outputs_table("cpu").rows} == {"helpers": 0.5, "torchdiffeq": 0.5}


# --- time ---------------------------------------------------------------------------------------------------------


def test_contestants_take_turns():
    order = []
    seconds = timing.interleaved({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3, at_least=0)
    assert list(seconds) == ["a", "b"] and all(s > 0 for s in seconds.values())
    assert order[-6:] == ["a", "b"] * 3


def test_a_contestant_of_another_process_repeats_itself():
    class Remote:
        counts = []

        def repeat(self, count):
            self.counts.append(count)

    timing.interleaved({"remote": Remote()}, 2, at_least=0)
    assert Remote.counts == [1, 1, 1, 1]


@pytest.mark.parametrize(("each", "turns"), [(1, 5), (5, 2), (20, 1)])
def test_a_slow_contestant_has_fewer_turns(monkeypatch, each, turns):
    clock = iter(range(0, 10_000, each))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    called = []
    seconds = timing.interleaved({"it": lambda: called.append(1)}, 3, at_most=12.0)
    assert len(called) == turns and seconds == {"it": each}


# --- memory -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bytes_held():
    """Gradient → (saved, peak) bytes at 4, 16 and 64 steps of a small field."""
    torch.manual_seed(0)
    field, y0 = fields("cpu")["small"]
    found = {}
    for steps in (4, 16, 64):
        for how, solve in memory.solves(field, y0, steps).items():
            found.setdefault(how, []).append(memory.measured(field, y0, solve))
    return found


def test_plain_backpropagation_saves_in_proportion_to_the_steps(bytes_held):
    for how in ("helpers backprop", "torchdiffeq"):
        (a, _), (b, _), (c, peak) = bytes_held[how]
        assert (c - b) == pytest.approx(4 * (b - a), rel=1e-3)
        assert peak > c


@pytest.mark.parametrize("how", ["helpers reversible", "helpers adjoint", backward.ADJOINT])
def test_the_memory_of_reversible_and_adjoint_is_constant(bytes_held, how):
    saved, peaks = zip(*bytes_held[how], strict=True)
    assert len(set(saved)) == 1
    # a few 0-d times a step is all that may be added
    assert peaks[-1] - peaks[0] < 60 * 4 * 16


def test_the_memory_of_checkpoint_grows_as_the_square_root(bytes_held):
    (a, peak_a), _, (c, peak_c) = bytes_held["helpers checkpoint"]
    # √(64 / 4) is 4; what does not grow makes it less
    assert 1 < c / a <= 4 and 1 < peak_c / peak_a <= 4
    assert peak_c < bytes_held["helpers backprop"][-1][1] / 4


def test_live_bytes_are_those_of_the_tensors_alive():
    with memory.Live() as live:
        a = torch.ones(1000)
        b = a * 2
        assert live.now == 8000
        del a
        assert (live.now, live.peak) == (4000, 8000)
        c = b[1:]  # a view is no memory of its own
        assert live.now == 4000
        del b, c
        assert live.now == 0


def test_what_autograd_alone_holds_is_alive():
    y = torch.ones(1000, requires_grad=True)
    with memory.Live() as live:
        end = (y * 2).tanh().tanh().sum()
        held = live.now
        del end
    assert held >= 8000 and live.now == 0


# --- implicit -----------------------------------------------------------------------------------------------------


def test_implicit_solvers_are_compared_on_one_problem(monkeypatch):
    monkeypatch.setattr(implicit, "interleaved", untimed)
    monkeypatch.setattr(implicit, "stiff_fields", lambda device: {"MLP 16-64-16": _few(stiff_fields(device))})
    rows = {row[2]: row for row in implicit.table("cpu").rows}
    assert rows.keys() == {
        "helpers implicit_euler",
        "torchdiffeq implicit_adams",
        "helpers kvaerno3",
        "torchdiffeq scipy_solver Radau",
    }
    assert rows["helpers kvaerno3"][-1] < 1e-5 < rows["helpers implicit_euler"][-1] < 1e-2


def _few(problems):
    field, y0, end = problems["MLP 16-64-16"]
    return field, y0[:3], end


def test_a_sample_in_numpy_is_the_field_in_torch():
    for field, y0, _ in stiff_fields("cpu").values():
        slope = implicit._sample(field, 5)(0.0, (y0[5] + 0.1).numpy())
        assert torch.as_tensor(slope).tolist() == pytest.approx(field(None, y0 + 0.1)[5].tolist())


def test_the_oscillators_go_from_harmless_to_stiff():
    mu = VanDerPol().mu
    assert (mu[0].item(), mu[-1].item()) == pytest.approx((1, 1000))


def test_a_result_that_is_not_finite_has_an_infinite_error():
    assert implicit.error(torch.tensor([[1.0], [torch.nan]]), torch.ones(2, 1)) == float("inf")


# --- stochastic ---------------------------------------------------------------------------------------------------


def test_stochastic_solvers_are_measured_on_both_equations(monkeypatch):
    monkeypatch.setattr(stochastic, "find_spec", lambda name: None)
    monkeypatch.setattr(stochastic, "interleaved", untimed)
    rows = stochastic.table("cpu").rows
    assert [row[:3] for row in rows] == [(f, "helpers", m) for f in ("cheap", "MLP") for m in stochastic.METHODS]
    assert all(row[-1] == 1 for row in rows)


def test_the_bare_run_is_one_drift_one_diffusion_and_one_draw_a_step():
    calls = []
    sde = stochastic.Equation(lambda y: calls.append("f") or y, lambda y: calls.append("g") or y)
    y0 = torch.ones(2, 2)
    torch.manual_seed(0)
    stochastic.bare(sde, y0)()
    drawn = torch.get_rng_state()
    assert calls == ["f", "g"] * stochastic.STEPS
    torch.manual_seed(0)
    for _ in range(stochastic.STEPS):
        torch.randn(2, 2)
    assert torch.equal(torch.get_rng_state(), drawn)


# --- controlled ---------------------------------------------------------------------------------------------------


def test_controlled_equations_are_measured_along_both_paths(monkeypatch):
    monkeypatch.setattr(cde, "find_spec", lambda name: None)
    monkeypatch.setattr(cde, "interleaved", untimed)
    table = cde.table("cpu")
    whats = ("forward", "gradient", "coefficients")
    assert [row[:3] for row in table.rows] == [(k, what, "helpers") for k in cde.KINDS for what in whats]
    assert all(row[-1] == 1 for row in table.rows) and "not installed" in table.verdict


# --- images -------------------------------------------------------------------------------------------------------


def test_both_diffusions_are_measured_and_scipy_solves_the_same_heat_equation(monkeypatch):
    monkeypatch.setattr(images, "interleaved", untimed)
    rows = images.table("cpu").rows
    assert [row[0] for row in rows] == ["heat", "heat", "Perona–Malik"] and all(row[-1] == 1 for row in rows)
    x = torch.rand(64, 64)
    found = images.runs(x)
    ours, theirs = found["heat", "helpers"](), torch.from_numpy(found["heat", "scipy gaussian_filter"]())
    # steps of 0.2 and pixels of 1 are not yet the limit; what is left of the noise is far more
    assert (ours - theirs).abs().max() < 1e-3 < 0.1 * theirs.std()


def test_the_bare_images_are_one_convolution_a_step(monkeypatch):
    calls = []
    monkeypatch.setattr(images.F, "conv2d", lambda x, kernel, padding: calls.append((x.shape, kernel.shape, padding)))
    images.bare(torch.rand(8, 9))()
    assert calls == [((1, 1, 8, 9), (1, 1, 3, 3), 1)] * images.STEPS


# --- the report ---------------------------------------------------------------------------------------------------


def test_who_is_ahead_is_read_off_the_figures():
    assert report.ahead([("a", "small", 1.5), ("b", "mid", 2.0)]) == "**No peer is ahead here.**"
    said = report.ahead([("a", "small", 0.5), ("a", "mid", 1.01), ("b", "mid", 2.0)], "time")
    assert said == "**Ahead of helpers**, with its time over ours: a: small (0.5). Level within 3%: a: mid."


def test_a_page_says_when_where_with_what_and_how_again(monkeypatch):
    monkeypatch.setattr(report, "versions", lambda: {"torch": "9.8.7", "torchode": None, "diffrax": None})
    table = report.Table("T", "About.", ("solver", "ms"), [("a", 1.234567), ("b", None)], "Verdict.")
    text = report.page([table], "cpu", "0.3", 4.2)
    assert re.search(r"\*\*Date\*\*: \d{4}-\d\d-\d\d; 4 minutes", text)
    assert "torch 9.8.7" in text and "not measured**: torchode, diffrax" in text and "make bench" in text
    assert "| solver | ms |\n| --- | ---: |\n| a | 1.23 |\n| b | – |\n\nVerdict.\n" in text


@pytest.mark.parametrize(("ratio", "said"), [(1.2, "no torch solver"), (0.7, "at 0.7 of the bare field")])
def test_a_machine_that_was_too_busy_shows(ratio, said):
    rows = [("small", "torchdiffeq", ratio), ("small", "diffrax", 0.2)]
    assert said in report.noise([report.Table("T", "", ("field", "solver", "time / B"), rows)])


def test_the_stored_page_is_of_one_whole_run_and_names_no_machine():
    text = report.RESULTS.read_text(encoding="utf-8")
    head = text.split("\n## ")[0]
    assert re.findall(r"^## (.+)$", text, re.M) == [
        "Forward",
        "Forward and backward",
        "Backward against the number of outputs",
        "Memory against the number of steps",
        "Implicit methods",
        "Stochastic methods",
        "Controlled differential equations",
        "Diffusion of images",
        "Scans and kernels",
        "Continuous normalising flows",
    ]
    for field in ("Date", "Machine", "Versions", "Device", "Again"):
        assert f"**{field}**: " in head
    for package in ("torch", *report.PEERS):
        assert re.search(rf"\b{package} \d+\.", head), f"{package} was not measured"
    # each table ends in a verdict, and a machine is described, not named
    assert len(re.findall(r"^\*\*(?:Ahead of helpers|No peer is ahead here)", text, re.M)) == 10
    assert not re.search(r"(?:^|[\s(])/\w+/|://|@", text)


def test_the_command_refuses_to_store_a_part(capsys):
    assert command.main(["memory"]) == 2 and "--print" in capsys.readouterr().err
    assert command.main(["--print", "nonsense"]) == 2 and "nonsense" in capsys.readouterr().err


def test_a_peer_that_fails_is_named_and_left_out(monkeypatch, capsys):
    monkeypatch.setattr(remote, "failures", [])

    def table(where):
        if not remote.failures:
            raise remote.Failed("diffrax: no answer")
        return "the table"

    monkeypatch.setattr(command, "TABLES", {"memory": table})
    assert command.measured("memory", "cpu") == "the table" and "no answer" in capsys.readouterr().err
    assert "**Gave up**: diffrax: no answer (table memory)" in report.page([], "cpu", "0", 1, remote.failures)
    with remote.taking_part("cpu") as process:
        assert process is None


def test_printing_stores_nothing(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: None)
    table = report.Table("T", "About.", ("solver",), [("a",)], "Verdict.")
    monkeypatch.setattr(command, "TABLES", {"memory": lambda where: table})
    assert command.main(["--print"]) == 0 and list(tmp_path.iterdir()) == []
    assert command.main([]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["RESULTS.md"]
    assert "## T" in capsys.readouterr().out
