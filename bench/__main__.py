"""Print the tables of the benchmark suite. Takes about a minute; a quiet machine gives the steadiest figures."""

from __future__ import annotations

import platform

import torch
import torchdiffeq

from helpers.training import device

from . import forward


def main():
    where = device()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print(
        f"torch {torch.__version__}, torchdiffeq {torchdiffeq.__version__}, Python {platform.python_version()}, "
        f"{where}, one thread"
    )
    print("\n".join(forward.table(where)))


if __name__ == "__main__":
    main()
