"""Errors against the number of steps: what an order of convergence looks like."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from . import style


def convergence(steps, errors, *, ylabel, title=""):
    """Error against the number of steps, log–log, one line a method.

    Args:
        steps: numbers of steps.
        errors: name → errors, shape (len(steps),), or (seeds, len(steps)) with a thin line for each seed.
    """
    fig = Figure((7.2, 4.2))
    ax = fig.subplots()
    for k, (name, look) in enumerate(style.lines(errors).items()):
        runs = np.atleast_2d(errors[name])
        for i, run in enumerate(runs):
            # hollow markers of two sizes: of two lines that coincide, both are seen
            ax.loglog(steps, run, **look, mfc="none", ms=(5, 8)[k % 2], lw=1.4, label=None if i else name)
    ax.set(xlabel="steps n", ylabel=ylabel, title=title)
    ax.set_xticks(steps, [str(n) for n in steps])
    ax.minorticks_off()
    fig.legend(*ax.get_legend_handles_labels(), loc="outside right upper")
    falls = [f"{name} from {np.atleast_2d(e)[0][0]:.0e} to {np.atleast_2d(e)[0][-1]:.0e}" for name, e in errors.items()]
    return fig, (
        f"{ylabel[0].upper()}{ylabel[1:]} against the number of steps, {steps[0]} to {steps[-1]}, straight lines in a "
        f"log–log plot: {', '.join(falls)}."
    )
