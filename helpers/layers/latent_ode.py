"""A variational autoencoder whose decoder is the flow of a differential equation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from helpers.solvers import odeint
from helpers.solvers.solve_cde import FIXED_STEP

from . import _checks, _choice, _series
from .vector_field import MLPField


class LatentODE(nn.Module):
    """z(0) ~ q(z | x), z' = f_θ(z), x(t) ~ N(ℓ(z(t)), noise²): a variational autoencoder whose decoder is a flow.

    (Chen et al. 2018, arXiv 1806.07366; encoder: a GRU that reads the observations backwards in time, and gives mean
    and log variance of q, a normal distribution with independent entries. The prior of z(0) is N(0, 1).)

    **Modes.** In train mode z(0) is drawn from q, in eval mode it is q's mean. Noise is drawn on the CPU, so that a GPU
    sees the same.

    Args:
        channels: Of x.
        latent, hidden: Entries of z, and of the encoder's and the field's hidden layers.
        t: Times of the outputs, (m ≥ 2,), strictly increasing, the first one that of z(0).
        noise: Standard deviation of the observations, in the units of x.
        method, steps: A fixed-step method of `odeint`, and its steps over all of the times; None means one step from
            each time to the next.

    Raises:
        TypeError, ValueError: A number is not positive, the method unknown, or t as it must not be.
    """

    def __init__(
        self,
        channels: int,
        latent: int,
        hidden: int,
        t: Tensor,
        *,
        noise: float = 0.1,
        method: str = "rk4",
        steps: int | None = None,
    ):
        super().__init__()
        self.channels = _checks.whole_number("channels", channels, at_least=1)
        self.latent = _checks.whole_number("latent", latent, at_least=1)
        hidden = _checks.whole_number("hidden", hidden, at_least=1)
        self.encoder = nn.GRU(2 * self.channels + 1, hidden, batch_first=True)
        self.posterior = nn.Linear(hidden, 2 * self.latent)
        self.field, self.readout = MLPField(self.latent, hidden), nn.Linear(self.latent, self.channels)
        with torch.no_grad():  # a narrow posterior at first: the flow has to learn where to go before noise helps
            self.posterior.bias[self.latent :] = -4.0
        self.noise = _checks.positive_number("noise", noise)
        self.method = _choice.one_of("method", method, FIXED_STEP)
        self.steps = None if steps is None else _checks.whole_number("steps", steps, at_least=1)
        # looked at twice: times that differ may be one in the dtype of the weights
        self.register_buffer("t", _increasing(_increasing(t).detach().to(self.readout.weight.dtype)))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of z(0), each (n, latent).

        Args:
            x: (n, length, 1 + channels), time first, the values NaN where missing. Times do not decrease. A row in
                which nothing was observed is read all the same, as (time, 0, not seen): it is no pad without effect.

        Raises:
            TypeError, ValueError: x is no such series.
        """
        _series.series(x, ("n", "length", 1 + self.channels), dtype=self.readout.weight.dtype)
        t, values = x[..., :1], x[..., 1:]
        _series.clock(t[..., 0], x.shape[:2], "x[..., 0]")
        seen = (~torch.isnan(values)).to(x.dtype)
        back = torch.cat([t, values.nan_to_num(0.0), seen], -1).flip(1)
        return self.posterior(self.encoder(back)[1][0]).chunk(2, -1)

    def decode(self, z: Tensor, t: Tensor | None = None) -> Tensor:
        """The means of x at the times t, (..., len(t), channels).

        Args:
            z: z(0), (..., latent).
            t: (k ≥ 2,), strictly increasing, beginning at the time of z(0), which is `self.t[0]`; None means the times
                of training.

        Raises:
            TypeError, ValueError: An argument is not as above.
        """
        _series.series(z, ("...", self.latent), "z", dtype=self.readout.weight.dtype)
        if t is None:
            t = self.t
        elif _increasing(t)[0].to(self.t) != self.t[0]:
            raise ValueError(f"t must begin at the time of z(0), {self.t[0].item():g}; got {t[0].item():g}")
        options = {"grid": "t"} if self.steps is None else {"num_steps": self.steps}
        return self.readout(odeint(self.field, z, t, method=self.method, options=options).movedim(0, -2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Prediction (n, m, channels), and q's mean and log variance, (n, latent) each.

        Args, raises: as `encode`.
        """
        mean, log_var = self.encode(x)
        z = _drawn(mean, log_var) if self.training else mean
        return self.decode(z), mean, log_var

    def sample(
        self, x: Tensor, draws: int, t: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """The means of x on trajectories whose z(0) is drawn from q: (draws, n, len(t), channels).

        Args:
            x: As `encode` takes it.
            draws: How many.
            t: As `decode` takes it.
            generator: A CPU generator; None means torch's global one.

        Raises:
            TypeError, ValueError: An argument is not as above.
        """
        draws = _checks.whole_number("draws", draws, at_least=1)
        if generator is not None and not (isinstance(generator, torch.Generator) and generator.device.type == "cpu"):
            raise TypeError(f"generator must be a CPU torch.Generator, or None; got {generator!r:.80}")
        mean, log_var = self.encode(x)
        return self.decode(_drawn(mean, log_var, (draws,), generator), t)

    def loss(self, output: tuple[Tensor, Tensor, Tensor], x: Tensor) -> Tensor:
        """−ELBO a sample, −E_q log p(x | z) + KL(q ‖ N(0, 1)), with the draw of the prediction for E_q.

        Args:
            output: What `forward` returned.
            x: (n, m, channels), NaN where there is nothing to explain.

        Raises:
            TypeError, ValueError: x is no such series.
        """
        if not isinstance(output, tuple) or len(output) != 3:
            raise TypeError(f"output must be what forward returned, three tensors; got {type(output).__name__}")
        prediction, mean, log_var = output
        _series.series(x, tuple(prediction.shape))
        seen = ~torch.isnan(x)
        missed = torch.where(seen, x.nan_to_num(0.0) - prediction, 0.0)
        fit = (missed**2).sum() / (2 * self.noise**2) + seen.sum() * math.log(self.noise * math.sqrt(2 * math.pi))
        kl = (mean**2 + log_var.exp() - log_var - 1).sum() / 2
        return (fit + kl) / len(x)

    def extra_repr(self) -> str:
        return f"latent={self.latent}, noise={self.noise:g}, method={self.method!r}, steps={self.steps}"


def _drawn(mean, log_var, draws=(), generator=None):
    """z ~ N(mean, exp(log_var)), `draws` times."""
    z = torch.randn((*draws, *mean.shape), generator=generator, dtype=mean.dtype).to(mean.device)
    return mean + (log_var / 2).exp() * z


def _increasing(t):
    """`t` when it is two times or more, finite and strictly increasing."""
    if not torch.is_tensor(t):
        raise TypeError(f"t must be a torch.Tensor of times; got {type(t).__name__}")
    if t.is_complex() or t.dtype == torch.bool:
        raise TypeError(f"t must be of real numbers; got {t.dtype}")
    if t.dim() != 1 or len(t) < 2:
        raise ValueError(f"t must have shape (m,) with m ≥ 2; got {tuple(t.shape)}")
    if not (t.isfinite().all() and (t.diff() > 0).all()):
        raise ValueError(f"t must be finite and strictly increasing; got {t.tolist()!r:.80}")
    return t
