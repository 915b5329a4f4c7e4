"""Residual networks whose layers are skipped at random, and the diffusion that they are a scheme for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from . import _checks
from ._stack import Stack


class StochasticDepth(Stack):
    """x_{k+1} = x_k + h (b_k / p) f_k(x_k), b_k ~ Bernoulli(p): layers that are skipped at random.

    (Huang et al. 2016, Deep networks with stochastic depth, arXiv 1603.09382, which multiplies by p in testing instead
    of by 1/p in training.) The branch has mean h f and variance h g², g = √(h (1 − p)/p) f: this is a step of
    Euler–Maruyama, in the weak sense, for dX = f dt + g dW (Lu et al. 2018, arXiv 1710.10121), whose noise fades as
    √h. With tied weights that ignore t it is Euler's method with a random number of steps, N ~ Binomial(L, p), of
    length h/p.

    **Modes.** Train mode draws the b_k anew in every pass, from torch's global generator. Eval mode takes their mean,
    b_k = p: the residual stack.

    Args:
        features: Entries of the state.
        depth: Number of layers, L.
        survival: p, the probability that a branch is kept, in (0, 1]; or one for every layer, such as Huang's
            1 − k/(2L), k = 1 … L.
        per: What is dropped at once: "sample", the branch of a sample; or "feature", each entry by itself, which is
            dropout on the branch.
        horizon: T, with h = T/L; None means h = 1, the stack as people use it.
        tied, field: As for `ResidualStack`.

    Raises:
        TypeError: `field` does not make modules.
        ValueError: `features` or `depth` < 1, `survival` not in (0, 1] or not one for every layer, `per` unknown, or
            `horizon` not positive and finite.
    """

    def __init__(
        self,
        features: int,
        depth: int,
        *,
        survival: float | Sequence[float] = 0.5,
        per: str = "sample",
        horizon: float | None = None,
        tied: bool = False,
        field: Callable[[int], nn.Module] | None = None,
    ):
        super().__init__(features, depth, depth if horizon is None else horizon, tied, field)
        given = list(survival) if isinstance(survival, Sequence) else [survival] * self.depth
        self.survival = tuple(_checks.positive_number("survival", p) for p in given)
        if len(self.survival) != self.depth or max(self.survival) > 1:
            raise ValueError(f"survival must be in (0, 1], one or {self.depth} of them; got {survival!r}")
        if per not in ("sample", "feature"):
            raise ValueError(f"per must be 'sample' or 'feature'; got {per!r}")
        self.per = per

    def _states(self, x):
        for (t, field), p in zip(self._layers(), self.survival, strict=True):
            branch = field(t, x)
            if self.training and p < 1:
                shape = x.shape if self.per == "feature" else (*x.shape[:-1], 1)
                # drawn on the CPU, in one dtype: the same layers are skipped everywhere
                kept = (torch.rand(shape, dtype=torch.float32, device="cpu") < p).to(x.device, x.dtype)
                x = torch.addcmul(x, branch, kept, value=self.step / p)
            else:
                x = torch.add(x, branch, alpha=self.step)
            yield x

    def extra_repr(self) -> str:
        low, high = min(self.survival), max(self.survival)
        survival = f"{low:g}" if low == high else f"{low:g} … {high:g}"
        return f"{super().extra_repr()}, survival={survival}, per={self.per!r}"
