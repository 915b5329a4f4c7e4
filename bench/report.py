"""What the measurements are written into: tables in Markdown, the machine, the versions, who is ahead."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import psutil

RESULTS = Path(__file__).with_name("RESULTS.md")
PEERS = ("torchdiffeq", "torchode", "torchdyn", "torchebm", "torchsde", "torchcde", "mambapy", "diffrax")
BESIDE = ("torch", "numpy", "scipy", "jax")
# a peer within this of us is level: more than that is noise on a machine that does something else as well
LEVEL = 0.03
# columns in which no torch solver can be below 1
FLOORED = ("time / B", "time / bare chain")


@dataclass
class Table:
    """One table, with what was measured above it and what follows from it below."""

    title: str
    about: str
    columns: tuple[str, ...]
    rows: list[tuple] = field(default_factory=list)
    verdict: str = ""

    def markdown(self) -> str:
        """Heading, text, table, verdict."""
        words = [all(isinstance(row[i], str) for row in self.rows) for i in range(len(self.columns))]
        lines = [self.columns, ["---" if w else "---:" for w in words], *(map(shown, row) for row in self.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{self.about}\n\n{table}\n\n{self.verdict}\n"


def shown(value) -> str:
    """A cell: three digits of a number, a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if 1e-2 <= abs(value) < 1e3 else f"{value:.0f}" if abs(value) >= 1e3 else f"{value:.1e}"
    return str(value)


def ahead(compared: Iterable[tuple[str, str, float]], what: str = "time") -> str:
    """The sentence that says where a peer is ahead.

    Args:
        compared: (peer, where, the peer's figure over ours); less is better.
        what: Of what the ratio is.
    """
    better, level = {}, {}
    for peer, where, ratio in compared:
        if ratio < 1 + LEVEL:
            place = better if ratio < 1 - LEVEL else level
            place.setdefault(peer, []).append(f"{where} ({ratio:.2g})" if place is better else where)
    lists = ["; ".join(f"{peer}: {', '.join(places)}" for peer, places in found.items()) for found in (better, level)]
    first = f"**Ahead of helpers**, with its {what} over ours: {lists[0]}." if better else "**No peer is ahead here.**"
    return first + (f" Level within {LEVEL:.0%}: {lists[1]}." if level else "")


def versions() -> dict[str, str | None]:
    """Package → version; None where it is not installed."""
    found = {}
    for package in (*BESIDE, *PEERS):
        try:
            found[package] = metadata.version(package).split("+")[0]
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def machine() -> str:
    """Processor, cores, memory, system; nothing that names the machine."""
    processor = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        models = [line.split(":", 1)[1] for line in info.read_text().splitlines() if line.startswith("model name")]
        processor = models[0].strip() if models else processor
    memory = psutil.virtual_memory().total / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}"


def busy() -> str:
    """How much else the machine had to do: the load of the last minute."""
    return f"{psutil.getloadavg()[0]:.1f}"


def noise(tables: Iterable[Table]) -> str:
    """What the figures say about the machine: a torch solver below the bare field is noise, and nothing else."""
    lowest = 1.0
    for table in tables:
        for i in (i for i, column in enumerate(table.columns) if column in FLOORED):
            lowest = min([lowest, *(row[i] for row in table.rows if "diffrax" not in row[1])])
    if lowest >= 1 - LEVEL:
        return "no torch solver was measured below the bare field, as none can be"
    return f"a torch solver was measured at {lowest:.2g} of the bare field, as none can be: repeat when less else runs"


def page(tables: Iterable[Table], where: str, load: str, minutes: float, failures: Iterable[str] = ()) -> str:
    """The whole of RESULTS.md.

    Args:
        where: Device of the torch solvers.
        load: `busy()` from before the first measurement.
        failures: Which peers gave up on the way, and why.
    """
    found, tables = versions(), list(tables)
    installed = ", ".join(f"{package} {version}" for package, version in found.items() if version)
    missing = ", ".join(package for package, version in found.items() if not version)
    gave_up = "".join(f"- **Gave up**: {failure}\n" for failure in failures)
    head = f"""# The solvers beside their peers

Measured by `make bench`, which writes this file; the figures are of one run on one machine.

- **Date**: {datetime.date.today().isoformat()}; {minutes:.0f} minutes
- **Machine**: {machine()}; load before the run: {load}
- **Noise**: {noise(tables)}
- **Versions**: Python {platform.python_version()}, {installed}
- **Not installed, so not measured**: {missing or "none"}
{gave_up}- **Device**: {where}, one thread
- **Again**: `make bench`, or `python run.py bench`; `ARGS=--print` leaves this file as it is, and names choose tables
  (`make bench ARGS="--print memory"`). The peers are the extra `bench` of `pyproject.toml`, in the versions of
  `constraints.txt`; the package itself needs none of them but torchdiffeq, for the methods that it passes on.

**How.** The contestants of a comparison take turns in one run, and the medians of their turns are given, so that a
busy machine slows all of them alike. *B* is the bare vector field, called as often as that solver calls it, without a
solver: no torch solver can be below 1. Only ratios of one run mean something on another machine, to about ±10 %.
diffrax runs compiled by XLA, in a process of its own that is held to one core; its ratios are to torch's bare field
too, so that they can be below 1, and its compilation is not timed. torchode runs without its optional compilation. Each
peer does what its documentation shows, and what can be built beforehand is built beforehand.
"""
    return "\n".join([head, *(table.markdown() for table in tables)])
