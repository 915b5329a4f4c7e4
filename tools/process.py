"""Calling other programs: so that Ctrl-C ends both, and so that executed notebooks find a steady setting."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def call(command: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> int:
    """Run a command in the repository's root and wait until it has ended.

    Ctrl-C goes to the command as well; it is given the time to end by itself before the interruption is
    passed on.

    Args:
        command: the program and its arguments.
        env: its environment; that of this process when None.

    Returns:
        The command's exit status.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, and the command has ended.
    """
    child = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=env)
    interrupted = False
    while True:
        try:
            status = child.wait()
        except KeyboardInterrupt:
            interrupted = True
            continue
        if interrupted:
            raise KeyboardInterrupt
        return status


def serve(command: Sequence[str | Path]) -> int:
    """Run a server until it ends, or until this process is told to end: by Ctrl-C, a closed terminal, the system.

    The server is then asked to stop by SIGTERM, upon which Jupyter shuts down its kernels; on Ctrl-C it would ask
    back at a terminal, and die with a traceback elsewhere. So it gets a process group that Ctrl-C does not reach.

    Args:
        command: the server and its arguments.

    Returns:
        Its exit status; 0 when it was told to end.
    """
    if os.name == "nt":  # there Ctrl-C reaches both, and Jupyter stops by itself
        try:
            return call(command)
        except KeyboardInterrupt:
            return 0
    told, started = [], []

    def stop(number, frame):
        told.append(number)
        for child in started:
            child.terminate()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # before there is a server that would be left alone
        signal.signal(number, stop)
    child = subprocess.Popen([str(part) for part in command], cwd=ROOT, process_group=0)
    started.append(child)
    if told:
        child.terminate()
    while True:  # not one long wait: a signal that comes just before it would be seen at its end only
        try:
            status = child.wait(timeout=1)
            return 0 if told else status
        except subprocess.TimeoutExpired:
            continue


def notebook_environment(**changes: str) -> dict[str, str]:
    """The environment in which a tool, not a reader, executes notebooks.

    Results are made on the CPU, one thread a kernel (several kernels share the cores), without progress bars,
    with the figures' backend left to the kernel, and without the companion's other settings, if any are made.
    The instruction set is left as the machine has it: stored numbers must hold under each of them.

    Args:
        changes: variables to add or override.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "HELPERS_BUILD" or not name.startswith(("HELPERS_", "MPLBACKEND"))
    }
    steady = {"HELPERS_DEVICE": "cpu", "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    return {**kept, **steady, **changes}
