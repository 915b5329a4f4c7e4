"""Layers with noise in them: their modes, their schemes on a known path, their moments in closed form."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from torch import nn

from helpers.layers import FunctionField, MLPField, ResidualStack, SDEBlock, SDENet, StochasticDepth
from helpers.solvers import BrownianPath, odeint

from .support import DEVICES, DTYPES

LAYERS = {
    "SDEBlock": lambda: SDEBlock(MLPField(4), 0.3, steps=3),
    "SDEBlock srk": lambda: SDEBlock(MLPField(4), Half(), steps=3, method="srk"),
    "SDEBlock milstein": lambda: SDEBlock(MLPField(4), Half(), steps=3, method="milstein"),
    "SDEBlock heun": lambda: SDEBlock(MLPField(4), Half(), steps=3, method="heun"),
    "StochasticDepth": lambda: StochasticDepth(4, 3),
    "StochasticDepth per feature": lambda: StochasticDepth(4, 3, per="feature", tied=True, horizon=1.0),
    "SDENet": lambda: SDENet(4, 4, features=5, steps=3),
}


class Half(nn.Module):
    """g(t, x) = w x, with w = 1/2 at first."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.5))

    def forward(self, t, x):
        return self.weight * x


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(5)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(params=LAYERS, ids=str)
def make(request):
    return LAYERS[request.param]


def after_seed(layer, x, seed=0):
    torch.manual_seed(seed)
    return layer(x)


# --- what all of them promise -------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 3, 4)], ids=str)
def test_takes_any_leading_axes_and_keeps_dtype_and_device(make, shape, dtype, device):
    layer, x = make().to(device, dtype), torch.randn(shape).to(device, dtype)
    before = x.clone()
    for y in (layer(x), layer.eval()(x)):
        assert (y.shape, y.dtype, y.device) == (x.shape, dtype, x.device)
    assert torch.equal(x, before), "the input was changed in place"


def test_noise_in_train_mode_is_fresh_and_follows_the_global_seed(make):
    layer, x = make(), torch.randn(20, 4)
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(after_seed(layer, x), after_seed(layer, x))


def test_eval_mode_is_without_noise_and_draws_nothing(make):
    layer, x = make().eval(), torch.randn(20, 4)
    state = torch.get_rng_state()
    assert torch.equal(layer(x), layer(x))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", [name for name in LAYERS if not name.startswith("Stochastic")])
def test_noise_in_eval_mode_only_where_it_is_asked_for(name):
    layer, x = LAYERS[name](), torch.randn(20, 4)
    noisy = after_seed(layer, x)
    layer.eval().noise_in_eval = True
    assert torch.equal(after_seed(layer, x), noisy)
    assert "noise_in_eval=True" in repr(layer)


def test_the_gradient_reaches_input_and_weights_in_both_modes(make):
    layer = make()
    for mode in (True, False):
        x = torch.randn(6, 4, requires_grad=True)
        names = [n for n, _ in layer.named_parameters() if not n.startswith("diffusion") or mode]
        names = [n for n in names if not (n.startswith("diffusion") and isinstance(layer, SDENet))]
        given = dict(layer.named_parameters())
        # of several layers one may have dropped every sample
        loss = sum(after_seed(layer.train(mode), x, seed).square().sum() for seed in range(8))
        gradients = torch.autograd.grad(loss, [x, *(given[n] for n in names)])
        assert all(g.isfinite().all() and g.any() for g in gradients)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_agree(make, twin):
    layer, x = make(), torch.randn(3, 4)
    assert torch.equal(after_seed(twin(layer), x), after_seed(layer, x))


# --- SDEBlock -----------------------------------------------------------------------------------------------------


def test_euler_is_the_formula_on_a_known_path():
    block, x, bm = SDEBlock(MLPField(3, 8), Half(), steps=4), torch.randn(5, 3), BrownianPath(0.0, 1.0, (5, 3), steps=4)
    state = x
    for k, dw in enumerate(bm.increments([0.0, 0.25, 0.5, 0.75, 1.0])):
        state = state + 0.25 * block.field(k / 4, state) + 0.5 * state * dw
    torch.testing.assert_close(block(x, bm), state)


@pytest.mark.parametrize("method, scheme", [("euler", "euler"), ("milstein", "euler"), ("heun", "heun2")])
def test_eval_mode_is_the_scheme_of_the_drift(method, scheme):
    field, x = MLPField(3, 8, time_dependent=True), torch.randn(5, 3)
    block = SDEBlock(field, Half(), horizon=1.5, steps=6, method=method).eval()
    expected = odeint(field, x, torch.tensor([0.0, 1.5]), method=scheme, options={"num_steps": 6})[-1]
    torch.testing.assert_close(block(x), expected)
    with torch.inference_mode():
        torch.testing.assert_close(block(x), expected)


def test_without_diffusion_train_mode_is_the_residual_stack():
    stack = ResidualStack(3, 5, horizon=2.0)
    block, x = SDEBlock(stack.field, 0, horizon=2.0, steps=5), torch.randn(4, 3)
    torch.testing.assert_close(block(x), stack(x))


@pytest.mark.parametrize("method", ["euler", "milstein", "heun", "srk"])
def test_a_constant_diffusion_alone_is_brownian_motion(method):
    block = SDEBlock(FunctionField(torch.zeros_like), 0.7, horizon=2.0, steps=5, method=method)
    bm = BrownianPath(0.0, 2.0, (6, 3))
    torch.testing.assert_close(block(torch.ones(6, 3), bm), 1 + 0.7 * bm(0.0, 2.0))
    samples = 40_000
    variance = block(torch.ones(samples, 1)).var().item()
    assert variance == pytest.approx(0.49 * 2.0, rel=6 * math.sqrt(2 / samples))


def test_heun_solves_stratonovichs_equation_and_milstein_itos():
    x, bm = torch.ones(50, 1), BrownianPath(0.0, 1.0, (50, 1), steps=200)
    w, still = bm(0.0, 1.0), FunctionField(torch.zeros_like)
    for method, exact in (("heun", torch.exp(w / 2)), ("milstein", torch.exp(w / 2 - 1 / 8))):
        end = SDEBlock(still, Half(), steps=200, method=method)(x, bm)
        assert (end - exact).abs().mean() < 0.01


class Broadcasting(nn.Module):
    """A field that forgets the feature axis."""

    def forward(self, t, x):
        return x.sum(-1, keepdim=True)


@pytest.mark.parametrize("made, error, words", [
    (lambda: SDEBlock(torch.tanh, 0.1), TypeError, "field must be an nn.Module"),
    (lambda: SDEBlock(MLPField(4), "large"), TypeError, "diffusion must be a number"),
    (lambda: SDEBlock(MLPField(4), -0.1), ValueError, "diffusion must be at least 0 and finite; got -0.1"),
    (lambda: SDEBlock(MLPField(4), 0.1, horizon=0), ValueError, "horizon must be positive and finite; got 0"),
    (lambda: SDEBlock(MLPField(4), 0.1, steps=0), ValueError, "steps must be a whole number, at least 1; got 0"),
    (lambda: SDEBlock(MLPField(4), 0.1, method="rk4"), ValueError, "method must be one of 'euler', .*; got 'rk4'"),
    (lambda: SDEBlock(Broadcasting(), 0.1)(torch.ones(3, 4)), ValueError, r"f must return the shape \(3, 4\); got"),
    (lambda: SDEBlock(MLPField(4), Broadcasting())(torch.ones(3, 4)), ValueError, r"g must return the shape \(3, 4\)"),
    (lambda: SDEBlock(MLPField(4), 0.1)(torch.ones(3, 5)), ValueError, r"shape \(\.\.\., 4\); got"),
    (lambda: StochasticDepth(4, 3, survival=0), ValueError, "survival must be positive and finite; got 0"),
    (lambda: StochasticDepth(4, 3, survival=1.1), ValueError, r"survival must be in \(0, 1\], one or 3 of them"),
    (lambda: StochasticDepth(4, 3, survival=[1, 0.5]), ValueError, r"one or 3 of them; got \[1, 0.5\]"),
    (lambda: StochasticDepth(4, 3, per="batch"), ValueError, "per must be 'sample' or 'feature'; got 'batch'"),
    (lambda: StochasticDepth(4, 3)(torch.ones(3, 5)), ValueError, r"shape \(\.\.\., 4\); got"),
    (lambda: StochasticDepth(4, 3, field=lambda d: Broadcasting())(torch.ones(3, 4)), ValueError, "must keep"),
    (lambda: SDENet(4, 0), ValueError, "classes must be a whole number, at least 1; got 0"),
    (lambda: SDENet(4, 3, sigma_max=-1), ValueError, "sigma_max must be at least 0 and finite; got -1"),
    (lambda: SDENet(4, 3)(torch.ones(3, 5)), ValueError, r"shape \(\.\.\., 4\); got \(3, 5\)"),
])  # fmt: skip
def test_what_cannot_be_meant_is_one_clear_exception(made, error, words):
    with pytest.raises(error, match=words):
        made()


# --- StochasticDepth ----------------------------------------------------------------------------------------------


def binomial(depth, p):
    """P(N = 0), …, P(N = depth)."""
    return torch.tensor([math.comb(depth, k) * p**k * (1 - p) ** (depth - k) for k in range(depth + 1)])


@pytest.mark.parametrize("horizon", [0.8, None], ids=["h = T/L", "h = 1"])
@pytest.mark.parametrize("p", [0.5, 0.8])
def test_tied_it_is_euler_with_a_random_number_of_steps(p, horizon):
    """x_L = x after N steps of h/p, N ~ Binomial(L, p): mean and variance to six standard errors."""
    depth, samples = 6, 20_000
    layer = StochasticDepth(2, depth, survival=p, horizon=horizon, tied=True, field=lambda d: MLPField(d, 8))
    h = 1 if horizon is None else horizon / depth
    assert layer.step == pytest.approx(h)
    x, after = torch.tensor([0.8, -0.5]), [torch.tensor([0.8, -0.5])]
    for _ in range(depth):
        after.append(after[-1] + h / p * layer.field(0.0, after[-1]))
    after, weights = torch.stack(after).detach(), binomial(depth, p)
    ends = layer(x.expand(samples, 2)).detach()
    distance, which = torch.cdist(ends, after).min(1)
    assert distance.max() < 1e-6, "every end is one of the states on the way"
    counts = torch.bincount(which, minlength=depth + 1) / samples
    assert ((counts - weights).abs() <= 6 * (weights * (1 - weights) / samples).sqrt()).all()
    mean = weights @ after
    variance, fourth = (weights @ (after - mean) ** k for k in (2, 4))
    assert ((ends.mean(0) - mean).abs() <= 6 * (variance / samples).sqrt()).all()
    assert ((ends.var(0) - variance).abs() <= 6 * (fourth / samples).sqrt()).all()


def test_one_layer_has_the_mean_and_the_variance_of_an_euler_maruyama_step():
    """Both outcomes of b weighted: mean h f, variance h g² with g = √(h (1 − p)/p) f."""
    p, h, x = 0.7, 0.2, torch.randn(400, 3)
    layer = StochasticDepth(3, 1, survival=p, horizon=h)
    f = layer.fields[0](0.0, x)
    added = layer(x) - x
    kept = added.abs().sum(-1) > 0
    assert 0.5 < kept.double().mean() < 0.9
    torch.testing.assert_close(added, h / p * f * kept.unsqueeze(-1))
    mean = p * (h / p * f)
    variance = p * (h / p * f - mean) ** 2 + (1 - p) * mean**2
    torch.testing.assert_close(mean, layer.eval()(x) - x)
    torch.testing.assert_close(variance, h * (math.sqrt(h * (1 - p) / p) * f) ** 2)


def test_the_variance_fades_with_the_step():
    """f = 1: x_L = T N/(L p), with variance T² (1 − p)/(p L)."""
    samples = 20_000
    for depth in (5, 50):
        layer = StochasticDepth(1, depth, horizon=2.0, tied=True, field=lambda d: FunctionField(torch.ones_like))
        variance = layer(torch.zeros(samples, 1)).var().item()
        assert variance == pytest.approx(4 / depth, rel=6 * math.sqrt(2 / samples))


def test_eval_mode_is_the_residual_stack():
    layer, x = StochasticDepth(3, 5, tied=True, horizon=2.0).eval(), torch.randn(4, 3)
    stack = ResidualStack(3, 5, horizon=2.0)
    stack.load_state_dict(layer.state_dict())
    assert torch.equal(layer(x), stack(x))
    assert torch.equal(layer.features_along(x), stack.features_along(x))


def test_a_sample_loses_its_whole_branch_or_each_entry_by_itself():
    ones = {"field": lambda d: FunctionField(torch.ones_like), "survival": 0.5}
    dropped = {per: StochasticDepth(8, 1, per=per, **ones)(torch.zeros(500, 8)) == 0 for per in ("sample", "feature")}
    assert (dropped["sample"].all(-1) == dropped["sample"].any(-1)).all()
    assert (dropped["feature"].all(-1) != dropped["feature"].any(-1)).double().mean() > 0.9


def test_every_layer_may_have_its_own_survival():
    survival = [1, 0.75, 0.5]
    layer = StochasticDepth(1, 3, survival=survival, field=lambda d: FunctionField(torch.ones_like))
    kept = layer.features_along(torch.zeros(4000, 1)).diff(dim=0) != 0
    rates = kept.double().mean((1, 2))
    assert rates[0] == 1 and (rates - torch.tensor(survival)).abs().max() < 6 * 0.5 / math.sqrt(4000)
    assert "survival=0.5 … 1" in repr(layer)


def test_the_same_layers_are_skipped_in_every_dtype():
    layer, x = StochasticDepth(4, 6), torch.randn(30, 4)
    wide = after_seed(layer, x)
    torch.testing.assert_close(after_seed(layer.float(), x.float()).double(), wide, rtol=1e-4, atol=1e-4)


# --- SDENet -------------------------------------------------------------------------------------------------------


def test_sde_net_is_its_formula_and_g_is_one_number_a_sample():
    net, x = SDENet(4, 3, features=5, steps=4, horizon=2.0, sigma_max=1.5), torch.randn(7, 4)
    state = start = net.encoder(x)
    size = 1.5 * torch.sigmoid(net.score(x)).unsqueeze(-1)
    torch.manual_seed(0)
    for k, z in enumerate(torch.randn(4, 7, 5)):
        state = state + 0.5 * net.field(0.5 * k, state) + math.sqrt(0.5) * size * z
    torch.testing.assert_close(after_seed(net, x), net.head(state))
    stack = ResidualStack(5, 4, horizon=2.0)
    stack.field.load_state_dict(net.field.state_dict())
    torch.testing.assert_close(net.eval()(x), net.head(stack(start)))


def test_each_loss_of_sde_net_trains_its_own_weights():
    net, x = SDENet(4, 3, features=5, steps=4), torch.randn(7, 4)
    own = {n for n, _ in net.named_parameters() if n.startswith("diffusion")}
    for loss, reached in ((net(x).square().sum(), False), (net.score(x).sum(), True)):
        net.zero_grad()
        loss.backward()
        assert {n for n, p in net.named_parameters() if p.grad is not None} == (
            own if reached else {n for n, _ in net.named_parameters()} - own
        )
    assert net.score(x).shape == (7,)
