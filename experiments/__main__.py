"""Measure the stored tables again: `python -m experiments [--stale] [names]`."""

from __future__ import annotations

import argparse
import importlib
import time

from helpers.training import start

from . import record

TABLES = (
    "robustness",
    "gradient_masking",
    "pixel_digits",
    "noise",
    "pde_cnns",
    "missing_rows",
    "sampling_rate",
    "carbon_dioxide",
    "spirals",
    "latch",
    "pixel_series",
    "parity",
    "moon_flows",
    "digit_flows",
    "pendulum",
    "predators",
    "operators",
    "residuals",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the scripts that are named, all of them where none is; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(TABLES)}; all where none is named")
    parser.add_argument("--stale", action="store_true", help="only tables made with other code than the present one")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in TABLES]:
        parser.error(f"there is no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    for name in given.names or TABLES:
        if given.stale and is_fresh(name):
            print(f"{name}: made with the present code", flush=True)
            continue
        start()
        script, code = importlib.import_module(f"experiments.{name}"), record.code_hash(name)
        began = time.perf_counter()
        script.main()
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        if record.load(name)["code"]["sha256"] != code:
            print(f"{name}: its code was changed meanwhile, so the table is of neither: measure again", flush=True)
            return 1
    return 0


def is_fresh(name: str) -> bool:
    """Whether the stored table was made with the present code."""
    path = record.FOLDER / f"{name}.json"
    return path.is_file() and record.load(name)["code"]["sha256"] == record.code_hash(name)


if __name__ == "__main__":
    raise SystemExit(main())
