"""Layers whose output is a solution of a stochastic differential equation: residual blocks with noise in them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from helpers.solvers import SDE, sdeint

from . import _checks
from .vector_field import MLPField

# which equation the noise makes: Heun's method is the one that converges to the Stratonovich solution alone
_SDE_TYPES = {"euler": "ito", "milstein": "ito", "srk": "ito", "heun": "stratonovich"}


class SDEBlock(nn.Module):
    """x(0) ↦ X(T) of dX = f_θ(t, X) dt + g(t, X) dW, X(0) = x(0): a residual stack with noise in every block.

    With Euler–Maruyama the layers are X_{k+1} = X_k + h f(t_k, X_k) + √h g(t_k, X_k) Z_k, Z_k ~ N(0, 1) for each entry
    (Liu et al. 2019, Neural SDE: stabilizing neural ODE networks with stochastic noise, arXiv 1906.02355).

    **Modes.** In train mode every pass draws fresh noise from torch's global generator. In eval mode there is none,
    and the block is the method's scheme for dx/dt = f; with `noise_in_eval` it draws there as well.

    Args:
        field: The drift f, a module called as field(t, x), which keeps the shape of x.
        diffusion: g, a module called as diffusion(t, x), which keeps the shape of x (each entry has noise of its own);
            or a number, g = diffusion.
        horizon: T.
        steps: How many, of length h = horizon / steps.
        method: "euler", "milstein" or "srk" for the Itô equation, "heun" for the Stratonovich one, see
            `helpers.solvers.sdeint`. All but "euler" are of their order where each entry of g depends on the same entry
            of x alone.
        noise_in_eval: Whether there is noise in eval mode too. It may be changed later.

    Raises:
        TypeError: `field` is not a module, or `diffusion` neither a module nor a number.
        ValueError: `horizon` or `steps` is not positive, a number `diffusion` is negative, or `method` is unknown.
    """

    def __init__(
        self,
        field: nn.Module,
        diffusion: nn.Module | float,
        *,
        horizon: float = 1.0,
        steps: int = 8,
        method: str = "euler",
        noise_in_eval: bool = False,
    ):
        super().__init__()
        self.field = _checks.module("field", field)
        is_module = isinstance(diffusion, nn.Module)
        self.diffusion = diffusion if is_module else _checks.number_from_zero("diffusion", diffusion)
        self.horizon = _checks.positive_number("horizon", horizon)
        self.steps = _checks.whole_number("steps", steps, at_least=1)
        if method not in _SDE_TYPES:
            raise ValueError(f"method must be one of {', '.join(map(repr, _SDE_TYPES))}; got {method!r}")
        self.method = method
        self.noise_in_eval = noise_in_eval

    def forward(self, x: Tensor, bm=None) -> Tensor:
        """X(T), shaped like x: (..., features) or whatever shape the field takes.

        Args:
            bm: The path to follow where there is noise, instead of a fresh one: what `sdeint` takes, shaped like x.
        """
        noisy = self.training or self.noise_in_eval
        return _flow(self.field, self._g if noisy else None, x, self.horizon, self.steps, self.method, bm)

    def _g(self, t, x):
        if isinstance(self.diffusion, nn.Module):
            return self.diffusion(t, x)
        return torch.full_like(x, self.diffusion)

    def extra_repr(self) -> str:
        number = "" if isinstance(self.diffusion, nn.Module) else f", diffusion={self.diffusion:g}"
        return (
            f"horizon={self.horizon:g}, steps={self.steps}, method={self.method!r}, "
            f"noise_in_eval={self.noise_in_eval}{number}"
        )


class SDENet(nn.Module):
    """SDE-Net: a drift that classifies, and a diffusion that tells where the network has seen no data.

        dX = f_θ(t, X) dt + σ_max g(x_0) dW,     g(x_0) ∈ (0, 1), one number for each sample,

    by Euler–Maruyama between a linear encoder, x_0 = E(input), and a linear head (Kong, Sun and Zhang 2020, SDE-Net:
    equipping deep neural networks with uncertainty estimates, arXiv 2008.10546). The class scores train f, encoder and
    head; `score` trains g, as a classifier of data against other inputs. Neither gradient reaches the other's weights.

    **Modes.** As for `SDEBlock`: noise in train mode, in eval mode only with `noise_in_eval`; the paper averages the
    probabilities of several noisy passes.

    Args:
        inputs, classes: Entries of an input, and of an answer.
        features: Entries of the state.
        steps, horizon: Of Euler–Maruyama; h = horizon / steps.
        sigma_max: The largest diffusion.
        hidden: Width of the net g.
        noise_in_eval: Whether there is noise in eval mode too. It may be changed later.
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        features: int = 32,
        steps: int = 8,
        horizon: float = 1.0,
        sigma_max: float = 0.5,
        hidden: int = 32,
        noise_in_eval: bool = False,
    ):
        super().__init__()
        self.inputs = _checks.whole_number("inputs", inputs, at_least=1)
        self.encoder = nn.Linear(self.inputs, _checks.whole_number("features", features, at_least=1))
        self.field = MLPField(features)
        hidden = _checks.whole_number("hidden", hidden, at_least=1)
        self.diffusion = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.head = nn.Linear(features, _checks.whole_number("classes", classes, at_least=1))
        self.horizon = _checks.positive_number("horizon", horizon)
        self.steps = _checks.whole_number("steps", steps, at_least=1)
        self.sigma_max = _checks.number_from_zero("sigma_max", sigma_max)
        self.noise_in_eval = noise_in_eval

    def forward(self, x: Tensor) -> Tensor:
        """Class scores: (..., inputs) ↦ (..., classes)."""
        start = self._encoded(x)
        g = None
        if self.training or self.noise_in_eval:
            size = self.sigma_max * torch.sigmoid(self.diffusion(start.detach())).detach().expand_as(start)

            def g(t, x):
                return size

        return self.head(_flow(self.field, g, start, self.horizon, self.steps, "euler", None))

    def score(self, x: Tensor) -> Tensor:
        """The logit of g(x_0), large where the input looks unlike the data: (..., inputs) ↦ (...)."""
        return self.diffusion(self._encoded(x).detach()).squeeze(-1)

    def _encoded(self, x):
        _checks.last_axis(self, x, self.inputs)
        return self.encoder(x)

    def extra_repr(self) -> str:
        return (
            f"horizon={self.horizon:g}, steps={self.steps}, sigma_max={self.sigma_max:g}, "
            f"noise_in_eval={self.noise_in_eval}"
        )


def _flow(field, g, x, horizon, steps, method, bm):
    """X(T) from x; with g = None what the method makes of dx/dt = f."""
    sde_type = _SDE_TYPES[method]
    if g is None:
        nothing = torch.zeros_like(x)
        method = "euler" if method == "milstein" else method  # they differ by g' alone

        def g(t, x):
            return nothing

        def bm(s, t, return_U=False):
            return (nothing, nothing) if return_U else nothing

    sde = SDE(field, g, "diagonal", sde_type)
    return sdeint(sde, x, [0.0, horizon], method=method, dt=horizon / steps, bm=bm)[-1]
