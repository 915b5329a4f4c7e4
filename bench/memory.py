"""Memory of a gradient against the number of steps, counted tensor by tensor, so that it is the same on any day."""

from __future__ import annotations

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers.solvers import odeint

from . import peers
from .backward import ADJOINT, CONSTANT_MEMORY, GRADIENTS
from .fields import fields
from .remote import taking_part
from .report import Table, ahead

STEPS = (4, 16, 64, 256)
ABOUT = f"""The mid field, rk4, a loss of y(1), with {", ".join(map(str, STEPS[:-1]))} and {STEPS[-1]} steps; MiB.
*saved* is what is still held when the forward pass has ended, by autograd or by anyone, each piece of memory once and
the weights not counted. *peak* is the most that all tensors held at one moment of forward and backward, whoever held
them, so that what is recomputed, or hidden from the hooks, is counted as well. For diffrax it is what XLA plans for
values in between. *growth* is how the last peak compares with the one of a sixteenth of the steps: constant memory is
1, √steps is 4, memory in proportion is 16. `reversible` is run with coupling 1, for the sake of so many steps."""
COLUMNS = ("gradient", *(f"saved, {n}" for n in STEPS), *(f"peak, {n}" for n in STEPS), "growth")
MIB = 2**20


class Live(TorchDispatchMode):
    """Bytes of all tensors that operations made and that are still held, by Python, by autograd or by anyone.

    Attributes:
        now, peak: At this moment, and at the worst one. An operation's own scratch space is not seen.
    """

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self._held = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._watch(tensor.untyped_storage())
        return result

    def _watch(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key in self._held:
            return

        def freed(_):
            self.now -= size
            del self._held[key]

        self._held[key] = weakref.ref(storage, freed)
        self.now += size
        self.peak = max(self.peak, self.now)


def measured(field, y0, solve):
    """Bytes saved for backward, and the most bytes alive during forward and backward."""
    y = y0.clone().requires_grad_()
    with Live() as live:
        end = solve(y)
        saved = live.now
        torch.autograd.grad(end.sum(), (y, *field.parameters()))
    return saved, live.peak


def solves(field, y0, steps):
    """Gradient → prepared solve, in as many evaluations."""
    t = peers.ends(y0)
    found = {}
    for how in GRADIENTS:
        options = {"num_steps": steps, "coupling": 1.0} if how == "reversible" else {"num_steps": steps}
        found[f"helpers {how}"] = lambda y, o=options, how=how: odeint(
            field, y, t, method="rk4", options=o, gradient=how
        )[-1]
    for name, peer in peers.installed().items():
        if name != "helpers":
            found[name] = peer.fixed(field, y0, max(1, peer.steps(4 * steps)))
    if "torchdiffeq" in found:
        from torchdiffeq import odeint_adjoint

        found[ADJOINT] = peers.installed()["torchdiffeq"].fixed(field, y0, steps, odeint_adjoint)
    return found


def table(device, steps=STEPS) -> Table:
    """Every gradient and number of steps."""
    field, y0 = fields(device)["mid"]
    found: dict[str, list] = {}
    for count in steps:
        for how, solve in solves(field, y0, count).items():
            found.setdefault(how, []).append(measured(field, y0, solve))
    with taking_part(device) as other:
        if other:
            planned = [other.prepare("memory", field, y0, "rk4", steps=n, backward=True).bytes for n in steps]
            found["diffrax"] = [(None, size) for size in planned]
    rows, compared = [], []
    for how, sizes in found.items():
        saved, peaks = ([size and size / MIB for size in column] for column in zip(*sizes, strict=True))
        rows.append((how, *saved, *peaks, peaks[-1] / peaks[-3] if len(peaks) > 2 else None))
        compared += [(how, ours[8:], sizes[-1][1] / found[ours][-1][1]) for ours in _alike(how)]
    where = f"peak at {steps[-1]} steps"
    return Table("Memory against the number of steps", ABOUT, COLUMNS, rows, ahead(compared, where))


def _alike(how):
    """Which of ours a peer's gradient is compared with: of our exact ones the leanest that is exact for the method."""
    if how.startswith("helpers"):
        return ()
    if how in (ADJOINT, "diffrax"):
        return CONSTANT_MEMORY if how == ADJOINT else ("helpers checkpoint",)
    return ("helpers backprop",)
