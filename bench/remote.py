"""diffrax beside the torch solvers: a process of its own that takes its turns by messages (see `jax_worker`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from .peers import TOLERANCES

ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}
PATIENCE = 240  # seconds for one answer
failures: list[str] = []  # why it takes no part any more


class Failed(RuntimeError):
    """diffrax raised, or did not answer; the text says which."""


class Diffrax:
    """The process; a context manager.

    Args:
        double: Whether it computes in float64; JAX decides that once a process.
    """

    def __init__(self, double: bool = False):
        self.folder = tempfile.TemporaryDirectory()
        environment = {**os.environ, **ONE_THREAD, "JAX_ENABLE_X64": str(int(double))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.jax_worker"],
            cwd=Path(__file__).resolve().parents[1],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

    def ask(self, **request) -> dict:
        """One message and its answer.

        Raises:
            Failed: diffrax raised; the text is its own. Or there was no answer.
        """
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            watch.cancel()
        answer = json.loads(line or '{"error": "its process ended without an answer"}')
        if "error" in answer:
            raise Failed(f"diffrax: {answer['error']}")
        return answer

    def prepare(self, key, field, y0, method, end=1.0, steps=None, backward=False, each=False):
        """Compile one solve of y' = field(t, y) from 0 to `end`, in the field's own numbers.

        Args:
            steps: Equal steps; None for adaptive ones at TOLERANCES.
            backward: Also the gradients of the sum of y(end), in y0 and in the field's parameters.
            each: Solve every sample by itself, all at once (`vmap`).

        Returns:
            A Contestant.
        """
        data = Path(self.folder.name, "data.npz")
        held = [p.detach().numpy() for p in (*field.parameters(), *field.buffers())]
        np.savez(data, y=y0.numpy(), **{f"p{i}": p for i, p in enumerate(held)})
        about = {"method": method, "end": end, "steps": steps, "backward": backward, "each": each, **TOLERANCES}
        return Contestant(self, key, **self.ask(do="prepare", key=key, data=str(data), **about))


class Contestant:
    """A prepared solve: callable, and able to repeat itself, so that a turn costs one message.

    Attributes:
        calls: How often one solve evaluates the field; None for an implicit method.
        bytes: What XLA plans for values in between.
    """

    def __init__(self, process, key, calls, bytes):
        self.process, self.key, self.calls, self.bytes = process, key, calls, bytes

    def __call__(self):
        self.repeat(1)

    def repeat(self, count):
        self.process.ask(do="repeat", key=self.key, count=count)

    def result(self) -> np.ndarray:
        """What it returns."""
        path = Path(self.process.folder.name, "result.npy")
        self.process.ask(do="result", key=self.key, path=str(path))
        return np.load(path)


@contextmanager
def taking_part(device, double=False):
    """The process, or None where diffrax is not installed, has failed, or is on the CPU and the others are not."""
    if failures or str(device) != "cpu" or find_spec("diffrax") is None:
        yield None
        return
    with Diffrax(double) as process:
        yield process
