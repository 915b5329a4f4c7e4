"""The pictures of chapter 05: they draw what the theory says, and their text alternatives say what they show."""

import math
import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from helpers.chapters.ch05_state_space_layers import dynamics, figures
from helpers.data import sunspots
from helpers.layers import hippo, hippo_memory, linear_scan

# --- memories -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(figures.SIGNALS))
def test_a_signal_fits_the_picture(name):
    u = dynamics.signal(name)
    assert u.shape == (dynamics.SAMPLES,) and 0.5 < u.abs().max() <= 1 and u.dtype == torch.float64


def test_the_sunspots_are_those_measured():
    u, (_, counts) = dynamics.signal("sunspots"), sunspots()
    assert np.corrcoef(u, counts)[0, 1] == pytest.approx(1) and u.mean().item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("now", [10, 70])
def test_the_coefficients_of_the_whole_past_are_the_online_state(now):
    seen = dynamics.samples_seen(now)
    state = hippo_memory("legs", dynamics.signal("chirp")[:seen], 16)[-1]
    assert np.allclose(dynamics.remembered("chirp", "legs", 16, now)[2], state, atol=1e-10)


@pytest.mark.parametrize(("name", "n", "now"), [("chirp", 8, 40), ("sunspots", 64, 100), ("steps", 16, 60)])
def test_the_error_of_a_projection_by_parseval(name, n, now):
    """An orthonormal basis: ‖u − p‖² = ‖u‖² − Σ c²."""
    t, curve, c, error = dynamics.remembered(name, "legs", n, now)
    u = dynamics.signal(name)[: dynamics.samples_seen(now)]
    power = u.square().mean().item()
    assert error == pytest.approx(math.sqrt((power - np.square(c).sum()) / power), rel=1e-6)
    assert len(t) == len(curve) and 0 < t[0] and t[-1] < len(u)


def test_a_line_is_remembered_by_two_numbers():
    """Of the ramp (k + ½)/m the two coefficients are those of t: ½ and √3/6, up to the steps that it is held in."""
    u = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    error, at, curve = dynamics.unexplained(torch.tensor([0.5, math.sqrt(3) / 6], dtype=torch.float64), u)
    assert torch.allclose(curve, at) and error == pytest.approx(math.sqrt(3) / math.sqrt(12) / 200, rel=1e-3)


def test_a_window_forgets_what_is_older():
    """Steps that differ only before the window's reach leave nearly the same coefficients: LegT rings, but decays."""
    t, *_ = dynamics.remembered("steps", "legt", 16, 100)
    assert t[0] > dynamics.SAMPLES - dynamics.WINDOW and t[-1] < dynamics.SAMPLES
    u = dynamics.signal("steps")
    moved = torch.cat([-u[:60], u[60:]])
    last = hippo_memory("legt", moved, 16, window=dynamics.WINDOW)[-1]
    assert np.allclose(dynamics.remembered("steps", "legt", 16, 100)[2], last, atol=2e-2)
    assert (
        np.abs(hippo_memory("legs", moved, 16)[-1].numpy() - dynamics.remembered("steps", "legs", 16, 100)[2]).max()
        > 0.1
    )


def test_before_the_window_is_full_the_past_is_zero():
    t, curve, _, error = dynamics.remembered("chirp", "legt", 64, 10)
    seen = dynamics.samples_seen(10)
    assert t[0] < 0 and t[-1] < seen
    assert np.abs(curve[t < -20]).max() < 0.1 and error < 0.2


@pytest.mark.parametrize(("measure", "kept"), [("legs", "all 124 samples"), ("legt", "the last 93 samples")])
def test_a_memory_in_words(measure, kept):
    artists = figures.memory(Figure())(signal="steps", measure=measure, n=16, now=40)
    *_, title, count = artists
    told = figures.describe_memory(signal="steps", measure=measure, n=16, now=40)
    assert kept in told and count.get_text() == "the state: 16 numbers"
    error = dynamics.remembered("steps", measure, 16, 40)[-1]
    assert f"error {100 * error:.0f} %" in title.get_text() and f"by {100 * error:.0f} %" in told
    heights = [bar.get_height() for bar in artists[4:-2]]
    assert np.allclose(heights[:16], dynamics.remembered("steps", measure, 16, 40)[2]) and not any(heights[16:])


def test_small_errors_are_not_told_as_zero():
    assert [figures._percent(x) for x in (0.87, 0.012, 0.004, 3e-5)] == ["87 %", "1 %", "0.4 %", "0.003 %"]


def test_reconstructions_tell_their_errors():
    u = dynamics.signal("chirp")
    fig, alt = figures.reconstructions(u, {"eight": hippo_memory("legs", u, 8)[-1], "none": torch.zeros(8).double()})
    assert len(fig.axes) == 2 and "none, 100 %" in alt and f"{len(u)} samples" in alt
    power = u.square().mean().item()
    rest = 1 - hippo_memory("legs", u, 8)[-1].square().sum().item() / power
    assert f"eight, {100 * math.sqrt(rest):.0f} %" in alt and "error 100 %" in fig.axes[1].get_title(
        loc="center"
    ) + fig.axes[1].get_title(loc="left")


# --- one pole -------------------------------------------------------------------------------------------------------

POLE, STEP = complex(-0.4, 3.0), 0.1


def test_a_held_pulse_is_a_mean_of_the_kernel():
    t, kernel, _, size = dynamics.one_pole("zoh", POLE, STEP)
    fine = np.linspace(0, STEP, 2001)
    means = [np.trapezoid(2 * np.exp(POLE * (start + fine)).real, fine) / STEP for start in t[:20] - STEP / 2]
    assert np.allclose(kernel[:20], means, atol=1e-6) and size == pytest.approx(math.exp(-0.4 * STEP))


@pytest.mark.parametrize("rule", dynamics.RULES)
def test_the_kernel_and_the_gain_of_a_recurrence(rule):
    """By running the recurrence on a pulse, and on a sine until it has settled."""
    pole, omega = complex(-2.0, 3.0), dynamics.OMEGA[60]
    a, b = {
        "zoh": (np.exp(pole * STEP), (np.exp(pole * STEP) - 1) / pole),
        "bilinear": ((2 + pole * STEP) / (2 - pole * STEP), 2 * STEP / (2 - pole * STEP)),
        "euler": (1 + pole * STEP, STEP),
    }[rule]
    _, kernel, gain, size = dynamics.one_pole(rule, pole, STEP)
    x, pulse = 0, []
    for k in range(30):
        x = a * x + b * (k == 0) / STEP
        pulse.append(2 * x.real)
    assert np.allclose(kernel[:30], pulse) and size == pytest.approx(abs(a))
    y, z = 0, 0  # a pair of states, each driven by e^{iωt}
    for k in range(400):
        drive = np.exp(1j * omega * STEP * k)
        y, z = a * y + b * drive, np.conj(a) * z + np.conj(b) * drive
    assert gain[60] == pytest.approx(abs(y + z), rel=1e-9)


def test_the_exact_gain_is_that_of_the_kernel():
    """The Fourier integral of 2 Re e^{λt}, by quadrature."""
    t = np.linspace(0, 40, 400_001)
    for i in (0, 60, 200):
        integral = np.trapezoid(dynamics.exact_kernel(POLE, t) * np.exp(-1j * dynamics.OMEGA[i] * t), t)
        assert dynamics.exact_gain(POLE)[i] == pytest.approx(abs(integral), rel=1e-4)


def test_there_is_no_gain_above_half_the_sampling_rate_or_without_stability():
    *_, gain, _ = dynamics.one_pole("bilinear", POLE, 0.4)
    assert np.isnan(gain[dynamics.OMEGA * 0.4 > math.pi]).all() and np.isfinite(gain[dynamics.OMEGA * 0.4 < 3]).all()
    *_, gain, size = dynamics.one_pole("euler", POLE, 0.4)
    assert size > 1 and np.isnan(gain).all()


@pytest.mark.parametrize(
    ("decay", "frequency", "dt", "unstable"),
    [(0.3, 3.0, 0.05, False), (0.3, 3.0, 0.1, True), (2.0, 0.0, 0.98, False), (0.05, 12.0, 1.0, True)],
)
def test_a_pole_in_words(decay, frequency, dt, unstable):
    """Euler is stable for Δ < 2 decay / |λ|²."""
    assert unstable == (dt > 2 * decay / (decay**2 + frequency**2))
    *_, title, _ = figures.pole(Figure())(decay=decay, frequency=frequency, dt=dt)
    told = figures.describe_pole(decay=decay, frequency=frequency, dt=dt)
    assert title.get_text() in told
    assert ("Euler is unstable" in told) == unstable and ("all three rules are stable" in told) != unstable


def test_what_explodes_leaves_the_picture():
    _, _, zoh, bilinear, euler, *_ = figures.pole(Figure())(decay=0.05, frequency=12.0, dt=0.5)
    assert np.isnan(euler.get_ydata()).any() and np.isfinite(zoh.get_ydata()).all()
    assert np.isfinite(bilinear.get_ydata()).all() and len(zoh.get_ydata()) == 16


# --- all poles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [4, 16])
def test_the_spectra_by_a_general_solver(n):
    legs = hippo("legs", n, dtype=torch.float64)
    for poles, matrix in (("legs matrix", legs.A), ("s4d poles", legs.normal)):
        by_lapack = np.linalg.eigvals(matrix.numpy())
        key = lambda z: (round(z.real, 5), round(z.imag, 5))  # noqa: E731
        found = sorted(dynamics.spectrum(poles, n).tolist(), key=key)
        assert np.allclose(found, sorted(by_lapack.tolist(), key=key), atol=1e-5)


@pytest.mark.parametrize("n", [8, 64])
def test_euler_is_stable_on_legs_below_two_by_n(n):
    for factor, stable in ((0.999, True), (1.001, False)):
        size = np.abs(dynamics.images("euler", "legs matrix", n, factor * 2 / n)).max()
        assert (size < 1) == stable and size == pytest.approx(max(2 * factor - 1, 1 - 2 * factor / n), abs=1e-9)


def test_the_images_of_the_other_rules_stay_inside():
    for poles in figures.POLES:
        values = dynamics.spectrum(poles, 16)
        assert np.allclose(dynamics.images("zoh", poles, 16, 0.1), np.exp(0.1 * values))
        tustin = dynamics.images("bilinear", poles, 16, 3.0)
        assert np.allclose(tustin, (2 + 3 * values) / (2 - 3 * values)) and np.abs(tustin).max() < 1


def test_the_region_of_stability_is_where_the_multiplier_is_small():
    outline = dynamics.stable_region("euler", 0.1)
    assert np.allclose(np.abs(1 + 0.1 * (outline[:, 0] + 1j * outline[:, 1])), 1)
    assert outline[:, 0].min() == pytest.approx(-20) and outline[:, 1].max() == pytest.approx(10, rel=1e-3)
    for rule in ("zoh", "bilinear"):
        assert dynamics.stable_region(rule, 0.1)[:, 0].max() == 0


@pytest.mark.parametrize(
    ("rule", "poles", "dt", "radius"),
    [
        ("euler", "legs matrix", 0.25, "radius 3.000: unstable"),
        ("euler", "legs matrix", 0.1, "radius 0.900: stable"),
        ("euler", "s4d poles", 1.0, "radius 81: unstable"),
        ("bilinear", "s4d poles", 1.0, "radius just below 1: stable"),
        ("zoh", "s4d poles", 1.0, f"radius {math.exp(-0.5):.3f}: stable"),
    ],
)
def test_a_plane_in_words(rule, poles, dt, radius):
    _, _, inside, outside, _, title = figures.plane(Figure())(rule=rule, poles=poles, n=16, dt=dt)
    told = figures.describe_plane(rule=rule, poles=poles, n=16, dt=dt)
    assert title.get_text() == radius and told.endswith(f"spectral {radius}.")
    out = len(outside.get_xdata())
    assert f"{out} of 16 lie outside" in told and out + len(inside.get_xdata()) == 16
    far = np.hypot(*outside.get_data()) if out else np.array([1.0])
    assert far.max() <= 1.7500001 and np.hypot(*inside.get_data()).max() < 1


# --- a strip --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("flagged", "others", "second"), [(3.0, 0.01, 15), (0.1, 0.001, 30), (8.0, 2.0, 5)])
def test_what_is_left_in_closed_form(flagged, others, second):
    values, delta, h, (first, last) = dynamics.strip(flagged, others, second)
    after = dynamics.TOKENS - 1 - second
    assert last == pytest.approx((1 - math.exp(-flagged)) * math.exp(-others * after))
    between = dynamics.TOKENS - 2 - dynamics.FIRST
    assert first == pytest.approx((1 - math.exp(-flagged)) * math.exp(-others * between - flagged))
    state = 0.0
    for x, step in zip(values, delta, strict=True):
        state += (1 - math.exp(-step)) * (x - state)
    assert h[-1] == pytest.approx(state) and np.abs(h).max() <= np.abs(values).max()
    assert (values[dynamics.FIRST], values[second]) == dynamics.FLAGGED_VALUES
    assert list(np.flatnonzero(delta == flagged)) == [dynamics.FIRST, second]


def test_a_strip_in_words():
    artists = figures.strip(Figure())(flagged=3.0, others=0.01, second=15)
    told = figures.describe_strip(flagged=3.0, others=0.01, second=15)
    left = 100 * (1 - math.exp(-3)) * math.exp(-0.24)
    share = re.search(r"(\d+) % of the second flagged value", artists[-1].get_text())[1]
    assert int(share) == round(left) and f"{share} % of the second" in told and "places 2 and 15" in told
    wanted = artists[-3].get_ydata()
    assert wanted[0] == 0.9 and wanted[15 - dynamics.FIRST] == -0.8 and wanted[14 - dynamics.FIRST] == 0.9


# --- a scan ---------------------------------------------------------------------------------------------------------


def doubled(known, rounds):
    """By brute force: sets of inputs, joined as the scan joins states."""
    for r in range(rounds):
        known = [one | known[i - 2**r] if i >= 2**r else one for i, one in enumerate(known)]
    return known


@pytest.mark.parametrize("rounds", range(4))
def test_which_inputs_have_reached_an_element(rounds):
    for element, known in enumerate(doubled([{i} for i in range(dynamics.LENGTH)], rounds)):
        assert known == set(range(dynamics.first_known(element, rounds), element + 1))
        assert {i for r, i in dynamics.reached(element, rounds) if r == 0} == known


@pytest.mark.parametrize("length", [8, 64, 4096])
def test_the_work_of_scans(length):
    work, log = dynamics.work(length), int(math.log2(length))
    assert work["loop"] == (length - 1, length - 1)
    assert work["doubling"] == (length * log - length + 1, log)
    joins, rounds = work["chunks"]
    assert joins < 2 * length and rounds < 3.1 * math.sqrt(length)


def test_the_chunks_are_those_of_the_package(monkeypatch):
    """Counted where the scan joins: three operations in a row of torch.addcmul a chunk's step."""
    calls, addcmul = [], torch.addcmul
    monkeypatch.setattr(torch, "addcmul", lambda *a, **k: calls.append(1) or addcmul(*a, **k))
    linear_scan(torch.rand(64), torch.rand(64))
    assert len(calls) == dynamics.work(64)["chunks"][1]


@pytest.mark.parametrize(
    ("rounds", "element", "words"),
    [
        (0, 3, "after 0 rounds element 3 knows input 3 alone"),
        (1, 3, "after 1 round element 3 knows inputs 2…3"),
        (2, 5, "after 2 rounds element 5 knows inputs 2…5"),
        (3, 7, "after 3 rounds element 7 knows inputs 0…7"),
        (2, 0, "after 2 rounds element 0 knows input 0 alone"),
    ],
)
def test_a_scan_in_words(rounds, element, words):
    fig = Figure()
    *_, title = figures.tree(fig)(rounds=rounds, element=element)
    told = figures.describe_tree(rounds=rounds, element=element)
    assert title.get_text() == words and words in told
    assert "7 joins in 7 rounds; doubling 17 joins in 3 rounds" in fig.axes[0].get_xlabel()
    assert "doubling 45057 joins in 12 rounds" in told
