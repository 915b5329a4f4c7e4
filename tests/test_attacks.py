"""Attacks against models whose optimal adversary is known in closed form, and what an attack must leave alone."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.attacks import fgsm, gaussian_noise, pgd
from helpers.training import accuracy

from .support import DTYPES

NORMS = ["l2", "linf"]
few = settings(max_examples=20)


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(2)
    yield
    torch.set_default_dtype(torch.float32)


def size(delta, norm):
    return torch.linalg.vector_norm(delta.flatten(1), ord=2 if norm == "l2" else math.inf, dim=1)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def linear():
    """A linear classifier with two classes, samples on both sides, and labels of which some are wrong."""
    model = nn.Linear(5, 2)
    x = torch.randn(400, 5)
    y = (model(x).argmax(1) + (torch.rand(400) < 0.1).long()) % 2
    return model, x, y


def leads(model, x, y):
    """By how much the wrong class of two is ahead."""
    scores = model(x).detach()
    return (scores[:, 1] - scores[:, 0]) * (1 - 2 * y)


@pytest.fixture
def curved():
    return nn.Sequential(nn.Linear(6, 30), nn.Tanh(), nn.Dropout(0.5), nn.Linear(30, 4))


# --- closed forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm, dual", [("l2", 2), ("linf", 1)])
@pytest.mark.parametrize("loss", ["ce", "margin", ("ce", "margin")])
@pytest.mark.parametrize("eps", [0.05, 0.4])
def test_linear_model_in_closed_form(linear, norm, dual, loss, eps):
    model, x, y = linear
    w = (model.weight[1] - model.weight[0]).detach()
    toward = (1 - 2 * y)[:, None] * w
    direction = toward.sign() if norm == "linf" else toward / w.norm()
    gain = eps * torch.linalg.vector_norm(w, ord=dual)  # the dual norm
    exact = (leads(model, x, y) + gain < 0).double().mean().item()
    assert 0.05 < exact < accuracy(model, (x, y)) - 0.01, "an attack that some samples withstand"
    attacks = [pgd(model, x, y, eps=eps, norm=norm, steps=4, loss=loss)]  # four steps of eps / 4
    if isinstance(loss, str):
        attacks.append(fgsm(model, x, y, eps=eps, norm=norm, loss=loss))
    for attacked in attacks:
        torch.testing.assert_close(attacked, x + eps * direction, atol=1e-12, rtol=0)
        torch.testing.assert_close(leads(model, attacked, y), leads(model, x, y) + gain)
        assert accuracy(model, (attacked, y)) == exact


def disc(x):
    """Class 0 within the unit circle: scores (1 − ‖x‖², 0)."""
    inside = 1 - x.square().sum(1)
    return torch.stack([inside, torch.zeros_like(inside)], dim=1)


def test_a_disc_is_left_along_the_radius():
    x = 0.7 * nn.functional.normalize(torch.randn(50, 3))
    y = torch.zeros(50, dtype=torch.int64)
    attacked = pgd(disc, x, y, eps=0.29, norm="l2", steps=8)
    torch.testing.assert_close(attacked, x * (0.99 / 0.7))
    assert (disc(attacked).argmax(1) == 0).all()
    assert (disc(pgd(disc, x, y, eps=0.31, norm="l2", steps=8)).argmax(1) == 1).all()


def test_a_disc_is_entered_along_the_radius_and_not_beyond_its_centre():
    x, y = torch.tensor([[1.5, 0.0], [1.5, 0.0], [0.0, 1.2]]), torch.ones(3, dtype=torch.int64)
    attacked = pgd(disc, x, y, eps=0.6, norm="l2", steps=8)
    torch.testing.assert_close(attacked, torch.tensor([[0.9, 0.0], [0.9, 0.0], [0.0, 0.6]]))
    # the best point is the centre, which lies inside the ball: a boundary point would be worse
    near = pgd(disc, 0.1 * x, y, eps=0.6, norm="l2", steps=400, step_size=0.01)
    assert near.norm(dim=1).max() <= 0.011


def test_linf_optimum_of_a_disc_is_the_corner():
    x, y = torch.tensor([[0.3, -0.2, 0.1]]), torch.zeros(1, dtype=torch.int64)
    attacked = pgd(disc, x, y, eps=0.25, norm="linf", steps=8)
    torch.testing.assert_close(attacked, torch.tensor([[0.55, -0.45, 0.35]]))


def test_a_start_without_gradient_needs_a_restart():
    x, y = torch.zeros(20, 3), torch.zeros(20, dtype=torch.int64)  # the centre: the score's maximum
    once = pgd(disc, x, y, eps=1.1, norm="l2", steps=10)
    assert torch.equal(once, x)
    again = pgd(disc, x, y, eps=1.1, norm="l2", steps=10, restarts=2)
    torch.testing.assert_close(size(again, "l2"), torch.full((20,), 1.1))


@pytest.mark.parametrize("loss, found", [("ce", False), ("margin", True)])
def test_large_scores_stop_cross_entropy_and_not_the_margin(loss, found):
    model, x, y = nn.Linear(3, 2).float(), torch.ones(1, 3, dtype=torch.float32), torch.tensor([0])
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1e3, 0, 0], [0, 0, 0]]))
        model.bias.zero_()
    attacked = pgd(model, x, y, eps=1.5, norm="l2", steps=10, loss=loss)
    assert (model(attacked).argmax(1) != y).item() == found


def test_a_small_gradient_is_followed_as_well_as_a_large_one():
    model, x, y = nn.Linear(3, 2).float(), torch.randn(5, 3, dtype=torch.float32), torch.zeros(5, dtype=torch.int64)
    expected = pgd(model, x, y, eps=0.5, norm="l2", steps=5, loss="margin")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1e-30)  # the squares of this underflow in float32
    torch.testing.assert_close(pgd(model, x, y, eps=0.5, norm="l2", steps=5, loss="margin"), expected)


# --- laws -----------------------------------------------------------------------------------------------


def cross_lead(model, x, y):
    scores = model.eval()(x).detach()
    true = scores.gather(1, y[:, None])
    return (scores - true).scatter(1, y[:, None], -math.inf).amax(1)


@few
@given(
    seed=st.integers(0, 2**32 - 1),
    norm=st.sampled_from(NORMS),
    eps=st.floats(0, 3),
    dtype=st.sampled_from(DTYPES),
    loss=st.sampled_from(["ce", "margin"]),
)
def test_every_point_lies_in_the_ball_and_in_the_range(seed, norm, eps, dtype, loss):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 30), nn.Tanh(), nn.Linear(30, 4)).to(dtype)
    x, y = torch.rand(8, 2, 3, dtype=dtype), torch.randint(4, (8,))
    for box in (None, (0.0, 1.0)):
        attacked = pgd(model, x, y, eps=eps, norm=norm, steps=3, restarts=2, loss=loss, box=box)
        fast = fgsm(model, x, y, eps=eps, norm=norm, loss=loss, box=box)
        for found in (attacked, fast):
            assert found.shape == x.shape and found.dtype == dtype and not found.requires_grad
            slack = 20 * torch.finfo(dtype).eps * (1 + eps)
            assert size(found - x, norm).max() <= eps + slack
            assert box is None or (found.min() >= 0 and found.max() <= 1)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("masked", [False, True])
def test_more_never_attacks_less(curved, norm, masked):
    x, y = torch.randn(60, 6), torch.randint(4, (60,))
    other = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4)) if masked else None
    settings = {"eps": 0.6, "norm": norm, "gradient_model": other}

    def lead(**more):
        return cross_lead(curved, pgd(curved, x, y, **settings, **more), y)

    start = cross_lead(curved, x, y)
    by_steps = [lead(steps=n) for n in (1, 2, 5, 20)]
    by_restarts = [lead(steps=3, restarts=n) for n in (1, 2, 4, 8)]
    by_losses = [lead(steps=3, restarts=3, loss=loss) for loss in ("margin", ("ce", "margin"))]
    for chain in ([start, *by_steps], [start, *by_restarts], by_losses):
        for weaker, stronger in zip(chain, chain[1:], strict=False):
            assert (stronger >= weaker - 1e-12).all()
    assert (by_steps[-1] > by_steps[0]).any() and (by_restarts[-1] > by_restarts[0]).any()


def test_random_starts_are_reproducible_and_uniform_in_the_ball(curved):
    x, y = torch.randn(5, 6), torch.randint(4, (5,))
    settings = {"eps": 1.0, "norm": "l2", "steps": 1, "restarts": 2}
    state = torch.get_rng_state()
    default = pgd(curved, x, y, **settings)
    assert torch.equal(torch.get_rng_state(), state), "the global generator was used"
    assert torch.equal(pgd(curved, x, y, **settings), default)
    assert torch.equal(pgd(curved, x, y, **settings, generator=seeded(0)), default)
    assert not torch.equal(pgd(curved, x, y, **settings, generator=seeded(1)), default)

    # with a tiny step the result is the start, where that is better than x: all starts beat the peak of a cone
    def cone(points):
        return torch.stack([-points.norm(dim=1), torch.zeros(len(points))], dim=1)

    many, labels = torch.zeros(4000, 3), torch.zeros(4000, dtype=torch.int64)
    for norm, law in (("l2", lambda r: r**3), ("linf", lambda r: r**3)):
        starts = pgd(cone, many, labels, eps=1.0, norm=norm, steps=1, restarts=2, step_size=1e-9)
        for r in (0.5, 0.8):
            assert (size(starts, norm) < r).double().mean().item() == pytest.approx(law(r), abs=0.03)
        assert starts.mean(0).abs().max() < 0.05


def test_samples_are_attacked_independently(curved):
    x, y = torch.randn(7, 6), torch.randint(4, (7,))
    together = pgd(curved, x, y, eps=0.5, norm="l2", steps=6)
    torch.testing.assert_close(pgd(curved, x[2:3], y[2:3], eps=0.5, norm="l2", steps=6), together[2:3])


def test_nothing_of_the_model_or_the_input_changes(curved):
    curved.train()
    curved[2].eval()
    curved[0].weight.grad = torch.ones_like(curved[0].weight)
    before = [parameter.clone() for parameter in curved.parameters()]
    x, y = torch.randn(5, 6, requires_grad=True), torch.randint(4, (5,))
    kept, modes = x.detach().clone(), [module.training for module in curved.modules()]
    with torch.no_grad():
        pgd(curved, x, y, eps=0.5, norm="l2", steps=3, restarts=2)
        fgsm(curved, x, y, eps=0.5, norm="linf", gradient_model=curved)
    assert [module.training for module in curved.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(curved.parameters(), before, strict=True))
    assert torch.equal(curved[0].weight.grad, torch.ones_like(before[0])) and curved[3].weight.grad is None
    assert torch.equal(x, kept) and x.grad is None


def test_modes_are_restored_after_an_error():
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout()).train()
    with pytest.raises(RuntimeError):
        pgd(model, torch.zeros(2, 4), torch.zeros(2, dtype=torch.int64), eps=1, norm="l2", steps=1)
    assert model.training and model[1].training


# --- the gradient that the attacker sees ----------------------------------------------------------------


def test_the_gradient_model_guides_and_the_model_judges(linear):
    model, x, y = linear
    flipped = nn.Linear(5, 2)
    with torch.no_grad():
        flipped.weight.copy_(-model.weight)
        flipped.bias.copy_(-model.bias)
    exact = pgd(model, x, y, eps=0.4, norm="l2", steps=10)
    same = pgd(model, x, y, eps=0.4, norm="l2", steps=10, gradient_model=model)
    torch.testing.assert_close(same, exact)
    # the wrong way: the attacker finds nothing better than x, whatever the other model says of its success
    assert torch.equal(pgd(model, x, y, eps=0.4, norm="l2", steps=10, gradient_model=flipped), x)
    away = fgsm(model, x, y, eps=0.4, norm="l2", gradient_model=flipped)
    torch.testing.assert_close(away, 2 * x - fgsm(model, x, y, eps=0.4, norm="l2"))


class Masked(torch.autograd.Function):
    """The identity, with a gradient of zero."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return torch.zeros_like(gradient)


def test_gradient_masking_is_seen_as_what_it_is(linear):
    model, x, y = linear

    def deployed(x):
        return model(Masked.apply(x))

    clean = accuracy(model, (x, y))
    settings = {"eps": 0.4, "norm": "l2", "steps": 10}
    fooled = pgd(deployed, x, y, **settings)
    unmasked = pgd(deployed, x, y, **settings, gradient_model=model)
    assert accuracy(model, (fooled, y)) == clean
    torch.testing.assert_close(unmasked, pgd(model, x, y, **settings))
    assert accuracy(model, (unmasked, y)) < clean - 0.1


# --- noise ----------------------------------------------------------------------------------------------


def test_noise_has_its_size_its_seed_and_its_range():
    x = torch.full((200, 64), 0.5)
    noisy = gaussian_noise(x, sigma=0.3)
    assert (noisy - x).std().item() == pytest.approx(0.3, rel=0.03)
    assert (noisy - x).mean().abs() < 0.01
    assert torch.equal(noisy, gaussian_noise(x, sigma=0.3, generator=seeded(0)))
    assert not torch.equal(noisy, gaussian_noise(x, sigma=0.3, generator=seeded(1)))
    assert torch.equal(gaussian_noise(x, sigma=0.0), x)
    assert gaussian_noise(x, sigma=3.0, box=(0, 1)).aminmax() == (0, 1)
    assert gaussian_noise(x.float(), sigma=0.3).dtype == torch.float32


# --- bad input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, error, text",
    [
        ({"norm": "l1"}, ValueError, 'norm must be "l2" or "linf"; got \'l1\''),
        ({"eps": -1.0}, ValueError, "eps must be at least 0 and finite; got -1.0"),
        ({"eps": math.nan}, ValueError, "eps must be at least 0"),
        ({"steps": 0}, ValueError, "steps must be at least 1; got 0"),
        ({"steps": 2.5}, TypeError, "steps must be a whole number, at least 1; got 2.5"),
        ({"restarts": 0}, ValueError, "restarts must be at least 1; got 0"),
        ({"step_size": -0.1}, ValueError, "step_size must be at least 0"),
        ({"loss": "hinge"}, ValueError, "loss must be one of ce, margin"),
        ({"box": (1, 0)}, ValueError, "box must be a range"),
        ({"box": (0, 0.1)}, ValueError, "x must lie within box"),
        ({"x": torch.zeros(3, 4, dtype=torch.int64)}, TypeError, "x must be floating point; got torch.int64"),
        ({"x": torch.zeros(4)}, ValueError, "x must have the shape"),
        ({"y": torch.tensor([0, 1])}, ValueError, r"y must hold one class a sample, shape \(3,\)"),
        ({"y": torch.tensor([0.0, 1, 1])}, ValueError, "int64"),
        ({"y": torch.tensor([0, 1, 2])}, ValueError, "y must lie between 0 and 1; got 0 to 2"),
        ({"model": lambda x: x[:, :1]}, ValueError, "classes ≥ 2"),
        ({"eps": "1"}, TypeError, "eps must be a number, at least 0 and finite; got '1'"),
        ({"step_size": 0}, ValueError, "step_size must be positive"),
        ({"step_size": [0.1]}, TypeError, "step_size must be a number"),
        ({"steps": True}, TypeError, "steps must be a whole number, at least 1; got True"),
        ({"loss": 3}, ValueError, "loss must be one of ce, margin.*got"),
        ({"loss": [["margin"]]}, ValueError, "loss must be one of ce, margin.*got"),
        ({"box": 1}, TypeError, r"box must be a range \(lo, hi\) of two numbers, or None; got 1"),
        ({"box": (0, None)}, TypeError, "box must be a range"),
        ({"x": [[1.0]]}, TypeError, "x must be a tensor, floating point; got list"),
        ({"y": [0, 1, 1]}, TypeError, "y must be a tensor, int64; got list"),
        ({"generator": 3}, TypeError, "generator must be a torch.Generator on the CPU, or None; got 3"),
        ({"model": None}, TypeError, "model must be callable"),
        ({"model": lambda x: x / 0}, FloatingPointError, "not finite"),
    ],
)
def test_bad_input(change, error, text):
    arguments = {"model": nn.Linear(4, 2), "x": torch.ones(3, 4), "y": torch.tensor([0, 1, 1])}
    arguments |= {"eps": 1.0, "norm": "l2", "steps": 2} | change
    with pytest.raises(error, match=text):
        pgd(arguments.pop("model"), arguments.pop("x"), arguments.pop("y"), **arguments)


def test_generators_live_on_the_cpu():
    class Elsewhere:
        device = torch.device("meta")

    with pytest.raises(ValueError, match="generator must be on the CPU"):
        gaussian_noise(torch.zeros(2, 2), sigma=1.0, generator=Elsewhere())


# --- models that answer otherwise each time ---------------------------------------------------------------


class Shaken(torch.nn.Module):
    """Scores W x with noise on W that is drawn anew at every pass."""

    def __init__(self, noise=3.0, features=40):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.weight, self.noise, self.passes = torch.randn(2, features, generator=draw), noise, 0

    def forward(self, x):
        self.passes += 1
        return x @ (self.weight + self.noise * torch.randn_like(self.weight)).T


@pytest.mark.parametrize("noise, passes", [(0.0, 1), (3.0, 10)])
def test_a_random_model_is_averaged_over_ten_draws_a_steady_one_is_asked_once(noise, passes):
    model, x = Shaken(noise), torch.randn(5, 40)
    pgd(model, x, torch.zeros(5, dtype=torch.int64), eps=1.0, norm="l2", steps=3)
    assert model.passes == 2 + 4 * passes, "two to see whether it is steady, then the start and three points"


def test_more_draws_come_closer_to_the_best_attack_on_the_mean_model():
    model, x, y = Shaken(), torch.zeros(200, 40), torch.zeros(200, dtype=torch.int64)
    away = model.weight[1] - model.weight[0]
    found = {}
    for samples in (1, 100):
        torch.manual_seed(0)
        attacked = pgd(model, x, y, eps=1.0, norm="l2", steps=5, samples=samples)
        found[samples] = (attacked @ away / away.norm()).mean()  # 1 is the optimum of the mean model
    assert found[1] < 0.7 and found[100] > 0.9


def test_samples_must_be_a_number_of_draws():
    with pytest.raises((ValueError, TypeError), match="samples must"):
        pgd(Shaken(), torch.randn(2, 40), torch.zeros(2, dtype=torch.int64), eps=1.0, norm="l2", steps=1, samples=0)
