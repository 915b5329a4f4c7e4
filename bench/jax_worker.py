"""The other end of `remote.py`: solves with diffrax, in a process that is held to one core.

    python -m bench.jax_worker            reads a request a line, answers a line, both JSON

Nothing here imports torch: its threads and XLA's would get in each other's way.
"""

from __future__ import annotations

import json
import os
import sys
from typing import ClassVar

if hasattr(os, "sched_setaffinity"):  # XLA makes as many threads as it sees cores when it starts
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optimistix

PREPARED = {}
# evaluations a step, and once at the start; diffrax counts steps, rejected ones too
EVALUATIONS = {"rk4": (4, 0), "dopri5": (6, 1)}


class RK4(diffrax.AbstractERK):
    """The classic method, which diffrax has no class for; made as its documentation says."""

    tableau: ClassVar[diffrax.ButcherTableau] = diffrax.ButcherTableau(
        a_lower=(np.array([0.5]), np.array([0.0, 0.5]), np.array([0.0, 0.0, 1.0])),
        b_sol=np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6]),
        b_error=np.array([0.0, 0.0, 0.0, 0.0]),
        c=np.array([0.5, 0.5, 1.0]),
    )
    interpolation_cls = diffrax.ThirdOrderHermitePolynomialInterpolation.from_k

    def order(self, terms):
        return 4


def _conv(y, weight, bias):
    return jax.lax.conv(y, weight, (1, 1), "SAME") + bias[:, None, None]


def _net(t, y, parameters):
    first, first_bias, second, second_bias = parameters
    if first.ndim == 4:
        return _conv(jnp.tanh(_conv(y, first, first_bias)), second, second_bias)
    return jnp.tanh(y @ first.T + first_bias) @ second.T + second_bias


def _van_der_pol(t, y, parameters):
    (mu,), (x, v) = parameters, (y[..., 0], y[..., 1])
    return jnp.stack([v, mu * (1 - x * x) * v - x], -1)


def _solver(request):
    """The solver, its step size control and its first step."""
    if request["steps"]:
        step = request["end"] / request["steps"]
        exact = optimistix.Newton(rtol=1e-10, atol=1e-10)
        implicit = request["method"] == "implicit_euler"
        euler = diffrax.ImplicitEuler(root_finder=exact, root_find_max_steps=20)
        return euler if implicit else RK4(), diffrax.ConstantStepSize(), step
    solver = {"dopri5": diffrax.Dopri5, "kvaerno3": diffrax.Kvaerno3}[request["method"]]()
    return solver, diffrax.PIDController(rtol=request["rtol"], atol=request["atol"]), None


def _solve(request, field):
    """A function of the state and the parameters that returns the state at the end and the number of steps."""
    solver, control, step = _solver(request)

    def solve(y, parameters):
        found = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            solver,
            0.0,
            request["end"],
            step,
            y,
            parameters,
            stepsize_controller=control,
            saveat=diffrax.SaveAt(t1=True),
            max_steps=100_000 if not request["steps"] else request["steps"] + 1,
        )
        return found.ys[0], found.stats["num_steps"]

    # samples do not mix in the stiff problems: each has small systems and steps of its own
    return jax.vmap(solve, in_axes=(0, request["each"]["parameters"])) if request["each"] else solve


def prepare(request):
    """Compile a solve, or a solve with its gradient, under request["key"].

    Returns how often it calls the field (None for an implicit method), and the bytes that XLA plans for values between.
    """
    data = np.load(request["data"])
    y, parameters = jnp.asarray(data["y"]), [jnp.asarray(data[name]) for name in data.files if name != "y"]
    field = _van_der_pol if len(parameters) == 1 else _net
    if request["each"]:
        # an oscillator has its own parameter, all rows of a batch one network
        request["each"] = {"parameters": 0 if field is _van_der_pol else None}
    function = _solve(request, field)
    if request["backward"]:
        inner = function
        function = jax.grad(lambda y, parameters: inner(y, parameters)[0].sum(), argnums=(0, 1))
    compiled = jax.jit(function).lower(y, parameters).compile()
    PREPARED[request["key"]] = lambda: jax.block_until_ready(compiled(y, parameters))
    planned = compiled.memory_analysis()
    calls = None
    if request["method"] in EVALUATIONS:
        a_step, at_start = EVALUATIONS[request["method"]]
        steps = request["steps"] or int(PREPARED[request["key"]]()[1])
        calls = a_step * steps + at_start
    return {"calls": calls, "bytes": planned and planned.temp_size_in_bytes}


def repeat(request):
    """Call what was prepared."""
    for _ in range(request["count"]):
        PREPARED[request["key"]]()
    return {}


def result(request):
    """Write what it returns into a file."""
    np.save(request["path"], np.asarray(PREPARED[request["key"]]()[0]))
    return {}


def main():
    """Answer until the input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr
    tasks = {"prepare": prepare, "repeat": repeat, "result": result}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = tasks[request["do"]](request)
        except Exception as error:  # the other end reports it by name and goes on without diffrax
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
