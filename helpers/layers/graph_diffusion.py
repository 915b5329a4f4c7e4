"""Diffusion along the edges of a graph: the linear core of graph networks that are read as heat equations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from . import _checks


class GraphDiffusion(nn.Module):
    """Steps of x' = −L x on a graph, L = I − D^(−1/2) A D^(−1/2) its normalised Laplacian: linear GRAND.

    (Chamberlain et al. 2021, GRAND: Graph neural diffusion, arXiv 2106.10934, where attention learns the weights of the
    edges.) The eigenvalues of L lie in [0, 2]; √degree belongs to 0 and is kept, and on a connected graph all else
    decays. One step of length τ is

    - "explicit": x ↦ x − τ L x, which no mode outgrows for τ ≤ 2/λ_max, at least 1; beyond it the fastest mode grows by
      τ λ_max − 1 a step;
    - "implicit": x ↦ (I + τ L)⁻¹ x, stable for every τ, by a Cholesky factor that is made once.

    Args:
        adjacency: A, (n, n), A[i, j] ≥ 0 the weight of the edge between i and j; loops are allowed. Whole numbers and
            truth values become the default dtype.
        step: τ.
        steps: How many.
        method: "explicit" or "implicit".

    Attributes:
        laplacian: L, (n, n), a buffer. It moves with the layer, but is no part of its state_dict: like the step, the
            graph is an argument.

    Raises:
        TypeError: `step` is no number, or `steps` no whole one.
        ValueError: `adjacency` is not square, not symmetric, has a weight that is negative or not finite, no edge, or a
            node without a neighbour; `step` is not positive and finite, `steps` < 1, `method` unknown; or x has another
            number of nodes.
    """

    def __init__(self, adjacency: Tensor, *, step: float = 0.5, steps: int = 1, method: str = "explicit"):
        super().__init__()
        adjacency = _checked(adjacency)
        self.step = _checks.positive_number("step", step)
        self.steps = _checks.whole_number("steps", steps, at_least=1)
        if method not in ("explicit", "implicit"):
            raise ValueError(f"method must be 'explicit' or 'implicit'; got {method!r}")
        self.method = method
        scale = adjacency.sum(1).rsqrt()
        eye = torch.eye(len(adjacency)).to(adjacency)
        laplacian = eye - adjacency * torch.outer(scale, scale)
        self.register_buffer("laplacian", laplacian, persistent=False)
        if method == "implicit":
            factor = torch.linalg.cholesky(eye + self.step * laplacian)
            self.register_buffer("_factor", factor, persistent=False)

    def energy(self, x: Tensor) -> Tensor:
        """The Dirichlet energy ½ tr(xᵀ L x) of (n, d), 0-d: ½ Σ A[i, j] ‖x[i]/√dᵢ − x[j]/√dⱼ‖² over the edges.

        Diffusion is its gradient flow. What is 0 may come out as negative as rounding.
        """
        self._check(x)
        return (x * (self.laplacian @ x)).sum() / 2

    def step_limit(self) -> float:
        """2/λ_max, the longest explicit step in which nothing grows; in [1, ∞)."""
        return 2 / torch.linalg.eigvalsh(self.laplacian)[-1].item()

    def forward(self, x: Tensor) -> Tensor:
        """Features of the nodes after all steps: (n, d) ↦ (n, d)."""
        self._check(x)
        for _ in range(self.steps):
            if self.method == "implicit":
                x = torch.cholesky_solve(x, self._factor)
            else:
                x = torch.sub(x, self.laplacian @ x, alpha=self.step)
        return x

    def _check(self, x):
        if x.ndim != 2 or len(x) != len(self.laplacian):
            raise ValueError(f"features must have shape ({len(self.laplacian)}, d), a row a node; got {tuple(x.shape)}")

    def extra_repr(self) -> str:
        return f"nodes={len(self.laplacian)}, step={self.step:g}, steps={self.steps}, method={self.method!r}"


def _checked(adjacency):
    """`adjacency` in a floating-point type, when it is that of an undirected graph without lonely nodes."""
    if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
        raise ValueError(f"adjacency must be square, (n, n); got {tuple(adjacency.shape)}")
    if not adjacency.is_floating_point():
        adjacency = adjacency.to(torch.get_default_dtype())
    if not (adjacency.isfinite() & (adjacency >= 0)).all():
        raise ValueError("adjacency must hold weights ≥ 0, all finite")
    if not torch.equal(adjacency, adjacency.T):
        raise ValueError("adjacency must be symmetric; (A + A.T) / 2 is")
    edges = adjacency - adjacency.diag().diag()
    if not edges.any():
        raise ValueError("adjacency must have an edge")
    if lonely := (~edges.any(1)).nonzero().flatten().tolist():
        raise ValueError(f"every node must have a neighbour; node {lonely[0]} has none ({len(lonely)} in all)")
    return adjacency
