"""The gated recurrent unit as a vector field."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import _checks, _sequences


class GRUODE(nn.Module):
    """h' = (1 − z) ⊙ (g − h), with the gates r, z and the candidate g of a GRU (De Brouwer et al. 2019, 1905.12374).

        r, z = σ(W h + b),   g = tanh(U (r ⊙ h) + c)

    An autonomous field for any solver. One Euler step of size 1 is the GRU itself, h ← (1 − z) ⊙ g + z ⊙ h, in the form
    of Cho et al. 2014 (arXiv 1406.1078); `torch.nn.GRUCell` has r ⊙ (U h + c) in place of U (r ⊙ h) + c. The cube
    [−1, 1]^hidden is invariant, since |g| < 1 there and 0 < z < 1; outside it h_i' points inwards.

    Args:
        hidden: Entries of h.

    Raises:
        TypeError, ValueError: `hidden` is no positive whole number.
    """

    def __init__(self, hidden: int):
        super().__init__()
        self.hidden = _checks.whole_number("hidden", hidden, at_least=1)
        self.gates = nn.Linear(self.hidden, 2 * self.hidden)
        self.candidate = nn.Linear(self.hidden, self.hidden)

    def forward(self, t: float | Tensor, h: Tensor) -> Tensor:
        """The velocity at h, whatever t: (..., hidden) ↦ (..., hidden).

        Raises:
            ValueError: The last axis of h does not hold `hidden` entries.
            TypeError: h is of another dtype than the parameters.
        """
        _sequences.real_of("h", h, self, self.gates.weight.dtype)
        _checks.last_axis(self, h, self.hidden)
        r, z = torch.sigmoid(self.gates(h)).chunk(2, -1)
        return (1 - z) * (torch.tanh(self.candidate(r * h)) - h)

    def extra_repr(self) -> str:
        return f"hidden={self.hidden}"
