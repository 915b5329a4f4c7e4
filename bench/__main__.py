"""Print the tables of the benchmark suite. Takes about a minute; a quiet machine gives the steadiest figures."""

from __future__ import annotations

import platform

import torch
import torchdiffeq

from helpers.training import device

from . import backward, forward

TABLES = {
    "Forward": forward.table,
    "Forward and backward, rk4": backward.table,
    "Backward against the number of outputs": backward.outputs_table,
}


def main():
    where = device()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print(
        f"torch {torch.__version__}, torchdiffeq {torchdiffeq.__version__}, Python {platform.python_version()}, "
        f"{where}, one thread"
    )
    for title, table in TABLES.items():
        print(f"\n{title}\n", *table(where), sep="\n", flush=True)


if __name__ == "__main__":
    main()
