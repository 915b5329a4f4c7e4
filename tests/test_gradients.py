"""Each way to differentiate a solve, against finite differences of what it claims to differentiate, and peers."""

import gc
import math
import weakref

import pytest
import torch
import torchdiffeq
from torch import nn

from helpers.solvers import InstabilityError, odeint
from helpers.solvers.analysis import observed_order

from .support import DEVICES

METHODS = {"euler": 12, "midpoint": 9, "rk4": 7, "implicit_euler": 5, "trapezoid": 5}
T = torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)


class Field(nn.Module):
    """A small field that depends on time, and on weights as a list, so that finite differences can move them."""

    def __init__(self, device="cpu"):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.inner = nn.Parameter(torch.randn(3, 4, generator=draw, dtype=torch.float64).to(device))
        self.outer = nn.Parameter(torch.randn(4, 3, generator=draw, dtype=torch.float64).to(device))

    def forward(self, t, y):
        return torch.tanh(y @ self.inner + t) @ self.outer


def start(device="cpu"):
    draw = torch.Generator().manual_seed(1)
    return torch.randn(5, 3, generator=draw, dtype=torch.float64).to(device).requires_grad_()


def loss(solution):
    """Looks at every output, so that a gradient lost at one of them shows."""
    weights = torch.linspace(1, 2, solution.numel(), dtype=solution.dtype, device=solution.device)
    return (solution**2 * weights.reshape(solution.shape)).mean()


def gradients(field, y0, t=T, **how):
    solution = odeint(field, y0, t.to(y0.device), **how)
    return solution.detach(), torch.autograd.grad(loss(solution), (y0, *field.parameters()))


def largest_difference(one, other):
    scale = max(b.abs().max() for b in other)
    return max(((a - b).abs().max() / scale).item() for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", METHODS)
def test_checkpoint_is_backpropagation(method, device):
    how = {"method": method, "options": {"num_steps": METHODS[method]}}
    field, y0 = Field(device), start(device)
    solution, exact = gradients(field, y0, **how)
    for segments in ({}, {"segments": 1}, {"segments": METHODS[method]}):
        again, found = gradients(field, y0, method=method, options=how["options"] | segments, gradient="checkpoint")
        torch.testing.assert_close(again, solution, atol=1e-12, rtol=0)
        assert largest_difference(found, exact) < 1e-10


@pytest.mark.parametrize("t", [T, T.flip(0), torch.linspace(0, 2, 40, dtype=torch.float64)])
@pytest.mark.parametrize("method", ["bosh3", "dopri5", "tsit5"])
def test_checkpoint_of_an_adaptive_solve_follows_its_accepted_steps(method, t):
    field, y0 = Field(), start()
    solution, exact = gradients(field, y0, t, method=method, rtol=1e-6, atol=1e-8)
    again, found = gradients(field, y0, t, method=method, rtol=1e-6, atol=1e-8, gradient="checkpoint")
    torch.testing.assert_close(again, solution, atol=1e-12, rtol=0)
    assert largest_difference(found, exact) < 1e-10


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint"])
def test_second_derivatives(gradient):
    field = Field()

    def solve(y0):
        return odeint(field, y0, T, method="rk4", options={"num_steps": 4}, gradient=gradient)

    assert torch.autograd.gradgradcheck(solve, start(), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("method", METHODS)
def test_reversible_is_the_gradient_of_its_own_scheme(method, device):
    """Central differences of the two-state solve itself, in the state and in every weight."""
    field, y0 = Field(device), start(device)
    how = {
        "method": method,
        "options": {"num_steps": METHODS[method], "coupling": 0.99},
        "gradient": "reversible",
    }
    _, found = gradients(field, y0, **how)
    inputs = (y0, *field.parameters())
    tolerance = 1e-6 if "implicit" in method or method == "trapezoid" else 1e-7
    for value, gradient in zip(inputs, found, strict=True):
        for place in ((0, 0), (2, 1)):
            ends = []
            for shift in (1e-5, -1e-5):
                with torch.no_grad():
                    value[place] += shift
                ends.append(loss(odeint(field, y0, T.to(device), **how)).item())
                with torch.no_grad():
                    value[place] -= shift
            assert gradient[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=tolerance)


def test_reversible_agrees_with_its_method_to_the_methods_order():
    field, y0, apart = Field(), start(), []
    for steps in (10, 20, 40):
        plain = odeint(field, y0, T[[0, 2]], method="midpoint", options={"num_steps": steps})
        pair = odeint(field, y0, T[[0, 2]], method="midpoint", options={"num_steps": steps}, gradient="reversible")
        apart.append((plain - pair).norm().item())
    assert observed_order([10, 20, 40], apart) > 1.9


@pytest.mark.parametrize("method", ["dopri5", "tsit5"])
def test_adjoint_tends_to_the_gradient_of_the_flow(method):
    field, y0 = Field(), start()
    _, flow = gradients(field, y0, method=method, rtol=1e-12, atol=1e-13)
    apart = []
    for rtol in (1e-4, 1e-6, 1e-9):
        _, found = gradients(field, y0, method=method, rtol=rtol, atol=rtol / 100, gradient="adjoint")
        apart.append(largest_difference(found, flow))
        assert apart[-1] < 10 * rtol
    assert apart[2] < apart[0] / 100


def test_adjoint_is_torchdiffeqs_adjoint():
    field, y0 = Field(), start()
    _, found = gradients(field, y0, method="dopri5", rtol=1e-9, atol=1e-11, gradient="adjoint")
    theirs = torchdiffeq.odeint_adjoint(field, y0, T, method="dopri5", rtol=1e-9, atol=1e-11)
    assert largest_difference(found, torch.autograd.grad(loss(theirs), (y0, *field.parameters()))) < 1e-7


def test_adjoint_of_a_fixed_step_method_differs_from_backpropagation_by_its_order():
    field, y0, apart = Field(), start(), []
    for steps in (20, 40, 80):
        how = {"method": "euler", "options": {"num_steps": steps}}
        _, exact = gradients(field, y0, T[[0, 2]], **how)
        _, found = gradients(field, y0, T[[0, 2]], gradient="adjoint", **how)
        apart.append(largest_difference(found, exact))
    assert apart[0] / apart[1] == pytest.approx(2, rel=0.2) and apart[1] / apart[2] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("gradient", ["checkpoint", "reversible", "adjoint"])
def test_tuples_of_tensors_as_state(gradient):
    field, y0 = Field(), start()

    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.field = field

        def forward(self, t, y):
            return tuple(self.field(t, torch.stack(y)).unbind())

    how = {"method": "rk4", "options": {"num_steps": 5}, "gradient": gradient}
    whole = loss(odeint(field, y0, T, **how))
    parts = torch.stack(odeint(Halves(), tuple(y0.unbind()), T, **how), 1)
    one = torch.autograd.grad(whole, (y0, *field.parameters()))
    other = torch.autograd.grad(loss(parts), (y0, *field.parameters()))
    assert largest_difference(one, other) < 1e-12


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
def test_what_has_first_derivatives_only_says_so(gradient):
    field, y0 = Field(), start()
    solution = odeint(field, y0, T, method="rk4", options={"num_steps": 4}, gradient=gradient)
    with pytest.raises(NotImplementedError, match=f"gradient='{gradient}' has first derivatives only"):
        torch.autograd.grad(loss(solution), y0, create_graph=True)


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
def test_tensors_that_a_function_holds_must_be_named(gradient):
    field, y0 = Field(), start()
    how = {"method": "rk4", "gradient": gradient}
    with pytest.raises(ValueError, match=r"func holds tensors that require a gradient.*options\['parameters'\]"):
        odeint(lambda t, y: field(t, y), y0, T, options={"num_steps": 4}, **how)
    _, exact = gradients(field, y0, options={"num_steps": 4}, **how)
    held = tuple(field.parameters())
    solution = odeint(lambda t, y: field(t, y), y0, T, options={"num_steps": 4, "parameters": held}, **how)
    assert largest_difference(torch.autograd.grad(loss(solution), (y0, *held)), exact) == 0


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"gradient": "reversible", "method": "dopri5"}, "fixed-step one-step methods; 'dopri5' is adaptive"),
        ({"gradient": "reversible", "method": "ab2"}, "one-step methods; 'ab2' is a multistep method"),
        ({"gradient": "checkpoint", "method": "ab2"}, "one-step methods; 'ab2' is a multistep method"),
        ({"gradient": "adjoint", "method": "trapezoid"}, "explicit one-step methods; got 'trapezoid'"),
        ({"gradient": "adjoint", "method": "dopri8"}, "takes our own methods; 'dopri8' is torchdiffeq's"),
    ],
)
def test_gradients_that_a_method_does_not_have(how, words):
    options = {} if "dopri" in how["method"] else {"num_steps": 4}
    with pytest.raises(ValueError, match=words):
        odeint(Field(), start(), T, options=options, **how)


@pytest.mark.parametrize("coupling", [0.0, -1.0, 1.5])
def test_coupling_is_checked(coupling):
    with pytest.raises(ValueError, match="coupling"):
        odeint(
            Field(),
            start(),
            T,
            method="euler",
            options={"num_steps": 2, "coupling": coupling},
            gradient="reversible",
        )


def test_reversible_warns_where_rounding_is_amplified():
    with pytest.warns(UserWarning, match=r"coupling\*\*-steps = 0.9\*\*-300"):
        odeint(
            Field(),
            start(),
            T,
            method="euler",
            options={"num_steps": 300, "coupling": 0.9},
            gradient="reversible",
        )


@pytest.mark.parametrize("gradient", ["backprop", "checkpoint", "reversible", "adjoint"])
def test_the_solution_is_the_same_with_and_without_a_graph(gradient):
    field, y0 = Field(), start()
    how = {"method": "rk4", "options": {"num_steps": 4}, "gradient": gradient}
    tracked = odeint(field, y0, T, **how)
    with torch.no_grad():
        torch.testing.assert_close(odeint(field, y0, T, **how), tracked, atol=1e-14, rtol=0)


def saved_bytes(gradient, steps):
    """Bytes that autograd keeps for the backward pass, each storage counted once; not what is gone before it."""
    field, y0, packed = Field(), start(), []

    def pack(tensor):
        tensor = tensor.detach()  # an operation may save its own result, and would keep itself alive by it
        packed.append(weakref.ref(tensor))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        solution = odeint(field, y0, T[[0, 2]], method="rk4", options={"num_steps": steps}, gradient=gradient)
    storages = [tensor.untyped_storage() for ref in packed if (tensor := ref()) is not None]
    loss(solution).backward()
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def test_saved_memory_grows_as_each_gradient_promises():
    few, many = ({g: saved_bytes(g, steps) for g in ("backprop", "reversible", "adjoint")} for steps in (16, 256))
    assert many["backprop"] / few["backprop"] > 10
    assert many["reversible"] == few["reversible"] and many["adjoint"] == few["adjoint"]


# --- what a field may hold, and what it may do inside ---------------------------------------------------------------


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
def test_every_way_to_name_parameters_gives_the_gradient(gradient):
    net, rate = Field(), torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, t, y):
            return rate * self.net(t, y)

    y0, inputs = start().detach(), (rate, *net.parameters())
    how = {"method": "rk4", "options": {"num_steps": 20}}
    exact = torch.autograd.grad(loss(odeint(Scaled(), y0, T, **how)), inputs)
    for field, named in (
        (lambda t, y: rate * net(t, y), iter(inputs)),
        (lambda t, y: rate * net(t, y), [*inputs, *inputs]),
        (Scaled(), [rate]),
    ):
        more = {"options": how["options"] | {"parameters": named}}
        found = torch.autograd.grad(loss(odeint(field, y0, T, **how | more, gradient=gradient)), inputs)
        assert largest_difference(found, exact) < 1e-5
    doubled = 2 * rate  # not a leaf, and named itself
    more = {"options": how["options"] | {"parameters": [doubled]}}
    end = loss(odeint(lambda t, y: doubled / 2 * y, y0, T, **how | more, gradient=gradient))
    plain = loss(odeint(lambda t, y: rate * y, y0, T, **how))
    torch.testing.assert_close(*(torch.autograd.grad(x, rate)[0] for x in (end, plain)), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
@pytest.mark.parametrize(
    ("named", "error", "words"),
    [
        (lambda w: w, TypeError, r"options\['parameters'\] must be a sequence.*got Tensor"),
        (lambda w: 3, TypeError, r"options\['parameters'\] must be a sequence.*got int"),
        (lambda w: [w.detach()], ValueError, r"options\['parameters'\] must be a sequence of tensors that require"),
        (lambda w: list(w), ValueError, r"func holds tensors that require a gradient.*got such a tensor at t = 0"),
    ],
)
def test_parameters_that_would_lose_a_gradient_are_refused(gradient, named, error, words):
    weights = torch.ones(3, dtype=torch.float64, requires_grad=True)
    options = {"num_steps": 4, "parameters": named(weights)}
    with pytest.raises(error, match=words):
        odeint(lambda t, y: weights * y, start(), T, method="rk4", options=options, gradient=gradient)


@pytest.mark.parametrize("gradient", ["reversible", "adjoint"])
@pytest.mark.parametrize("y0", [start(), start().detach()])
def test_a_tensor_that_is_met_only_later_is_not_lost(gradient, y0):
    rate = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ValueError, match=r"func holds tensors that require a gradient.*at t = 0\.[56]"):
        odeint(lambda t, y: rate * y if t > 0.5 else -y, y0, T, method="rk4", options={"num_steps": 20},
               gradient=gradient)  # fmt: skip


class Flow(nn.Module):
    """Differentiates inside: a gradient of an energy, turned, and the trace of a Jacobian, with grad mode as it is."""

    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.inner = nn.Parameter(torch.randn(2, 4, generator=draw, dtype=torch.float64))
        self.calls = 0

    def forward(self, t, state):
        self.calls += 1
        z, _ = state
        z = z.requires_grad_()
        (slope,) = torch.autograd.grad(torch.cos(z @ self.inner).sum(), z, create_graph=True)
        slope = slope.flip(-1) * torch.tensor([1.0, -1.0], dtype=slope.dtype) - z
        traces = [torch.autograd.grad(slope[:, i].sum(), z, create_graph=True)[0][:, i] for i in range(2)]
        return slope, -sum(traces)


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
@pytest.mark.parametrize("gradient", ["checkpoint", "reversible", "adjoint"])
def test_a_field_may_differentiate_inside(method, gradient):
    if (method, gradient) == ("dopri5", "reversible"):
        return
    how = {"method": method, "options": {"num_steps": 50} if method == "rk4" else {}}
    y0, found, calls = (start().detach()[:, :2].contiguous(), torch.zeros(5, dtype=torch.float64)), [], []
    for way in ("backprop", gradient):
        flow = Flow()
        z, trace = odeint(flow, y0, T, gradient=way, **how)
        total = loss(z) + loss(trace)
        found.append(torch.autograd.grad(total, flow.inner))
        calls.append(flow.calls)
    assert largest_difference(found[1], found[0]) < 1e-5
    # an adaptive solve with checkpoints is walked once more; the other two call the field again, for y or for z
    most = {"checkpoint": 2 if method == "rk4" else 3.1, "reversible": 4, "adjoint": 2 if method == "rk4" else 4}
    assert calls[1] <= most[gradient] * calls[0]


@pytest.mark.parametrize("method", ["rk4", "implicit_euler"])
def test_a_checkpoint_calls_the_field_twice_a_stage(method):
    """Backward, too: a derivative taken inside a piece sets off no second run of it."""
    net, calls = Field(), []
    how = {"method": method, "options": {"num_steps": 16}, "gradient": "checkpoint"}
    end = odeint(lambda t, y: calls.append(t) or net(t, y), start(), T, **how)
    forward = len(calls)
    loss(end).backward()
    assert forward <= 130 and len(calls) == 2 * forward


def test_checkpoint_remembers_one_piece_at_a_time():
    """Also where a backward pass leaves some of what was saved untouched, and where a second one asks for it again."""

    def alive():
        return sum(type(it) is torch.Tensor and it.shape == (5, 4) for it in gc.get_objects())

    gc.collect()
    field, y0, before = Field(), start(), alive()
    end = odeint(field, y0, T[[0, 2]], method="euler", options={"num_steps": 100}, gradient="checkpoint")
    most = [alive()]
    one = torch.autograd.grad(loss(end), y0, retain_graph=True)
    most.append(alive())
    other = torch.autograd.grad(loss(end), y0, retain_graph=True)
    most.append(alive())
    assert torch.equal(one[0], other[0])
    assert max(most) - before <= 30, "ten of a hundred steps a piece, and a few tensors each"


def test_checkpoint_refuses_a_field_that_does_something_else_the_second_time():
    calls = []

    def field(t, y):
        calls.append(t)
        return torch.sin(y) if len(calls) <= 4 else -y

    end = odeint(field, start(), T[[0, 2]], method="euler", options={"num_steps": 4}, gradient="checkpoint")
    with pytest.raises(RuntimeError, match="func must do the same when it is called again"):
        loss(end).backward()


def test_an_adaptive_checkpoint_refuses_random_fields():
    drop = nn.Dropout(0.5)
    with pytest.raises(ValueError, match="func must not draw random numbers"):
        odeint(lambda t, y: torch.sin(drop(y)), start(), T, rtol=1.0, atol=1.0, gradient="checkpoint")


# --- where the reversible scheme is stable --------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "steps"), [(30, 200), (30, 50), (15, 20)])
def test_reversible_says_where_the_flow_contracts_too_much(rate, steps):
    def field(t, y):
        return -rate * (y - torch.cos(t))

    y0, t, how = torch.ones(1).double(), T[[0, 2]], {"method": "rk4", "options": {"num_steps": steps}}
    assert odeint(field, y0, t, **how)[-1].item() == pytest.approx(math.cos(1), abs=0.1)
    with pytest.raises(InstabilityError, match=r"apart at t = 1, .*with step size 0.0.*use gradient='checkpoint'"):
        odeint(field, y0, t, gradient="reversible", **how)


@pytest.mark.parametrize(("method", "steps"), [("euler", 5), ("midpoint", 3), ("rk4", 2)])
@pytest.mark.parametrize("rate", [-1.0, 1.0, 3.0])
def test_reversible_takes_coarse_steps_where_the_flow_does_not(method, steps, rate):
    for field in (lambda t, y: rate * y, lambda t, y: rate / 2 * y.flip(-1) * torch.tensor([1.0, 0.0, -1.0])):
        odeint(field, start(), T[[0, 2]], method=method, options={"num_steps": steps}, gradient="reversible")
