"""Measure, print and write bench/RESULTS.md; some minutes, and a quiet machine gives the steadiest figures.

- `python -m bench`: every table, into RESULTS.md
- `python -m bench --print`: every table, RESULTS.md stays as it is
- `python -m bench --print memory`: one of them; a part is never stored, for the file is of one run
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import torch

from helpers.training import device

from . import backward, cde, flows, forward, images, implicit, memory, remote, report, scans, stochastic

TABLES = {
    "forward": forward.table,
    "backward": backward.table,
    "outputs": backward.outputs_table,
    "memory": memory.table,
    "implicit": implicit.table,
    "stochastic": stochastic.table,
    "cde": cde.table,
    "images": images.table,
    "scans": scans.table,
    "flows": flows.table,
}


def measured(name: str, where: torch.device) -> report.Table:
    """One table; without diffrax from the moment on when that fails."""
    try:
        return TABLES[name](where)
    except remote.Failed as error:
        print(f"{error}: once more without it", file=sys.stderr)
        remote.failures.append(f"{error} (table {name})")
        return TABLES[name](where)


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns its exit status."""
    names = [name for name in arguments if name != "--print"]
    writes = "--print" not in arguments
    if unknown := [name for name in names if name not in TABLES]:
        print(f"bench knows {', '.join(TABLES)} and --print; given: {' '.join(unknown)}", file=sys.stderr)
        return 2
    if writes and names:
        print("RESULTS.md is of one run of everything: add --print to see a part.", file=sys.stderr)
        return 2
    where, load, started = device(), report.busy(), time.monotonic()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    tables = []
    for name in names or TABLES:
        tables.append(measured(name, where))
        print(tables[-1].markdown(), flush=True)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    if writes:
        text = report.page(tables, str(where), load, (time.monotonic() - started) / 60, remote.failures)
        report.RESULTS.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {report.RESULTS.parent.name}/{report.RESULTS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
