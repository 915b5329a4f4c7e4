"""A table with several seeds as a picture: every seed is seen."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from . import style


def seeds(rows, columns, *, labels, axis="accuracy", xlim=(0, 1), size=(9.6, 4.4)):
    """One dot a seed: rows named on the left, a panel for each measured quantity.

    Args:
        rows: Stored rows, each with "row" and lists of values.
        columns: key of a quantity → title of its panel.
        labels: row → how it is named in the picture.
        axis: What the panels' axes measure.
        xlim: Of all panels; None leaves each panel its own, on a logarithmic scale.
    """
    fig = Figure(size)
    axes = np.atleast_1d(fig.subplots(1, len(columns), sharey=True))
    rows = [row for row in rows if row["row"] in labels]
    told = []
    for ax, (key, title) in zip(axes, columns.items(), strict=True):
        for i, row in enumerate(rows):
            values = np.array(row.get(key, []))
            if not len(values):
                continue
            colour = style.CYCLE[i % 7]
            ax.plot([values.mean()] * 2, [i - 0.3, i + 0.3], color=colour, lw=2.5)
            ax.plot(values, np.full(len(values), i), color=colour, marker=style.MARKERS[i % 7], ls="", ms=6, alpha=0.75)
            told.append(f"{title}, {labels[row['row']]}: {values.mean():{'.2g' if xlim is None else '.2f'}}")
        ax.set(title=title, xlabel=axis)
        if xlim is None:
            ax.set_xscale("log")
        else:
            ax.set_xlim(xlim[0] - 0.03, xlim[1] + 0.03)
    axes[0].set_yticks(range(len(rows)), [labels[row["row"]] for row in rows])
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    return fig, f"A dot a seed, a bar for their mean. {'; '.join(told)}."
