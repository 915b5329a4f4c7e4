"""The exercises of chapter 01, residual networks as Euler's method."""

from __future__ import annotations

import numpy as np
import torch

from helpers.lesson import Exercise, Exercises, same_function, same_number, same_option

# --- E1.2, the midpoint block --------------------------------------------------------------------------------------


def _midpoint(field, x, h):
    return x + h * field(x + h / 2 * field(x))


def _euler(field, x, h):
    return x + h * field(x)


def _heun(field, x, h):
    slope = field(x)
    return x + h / 2 * (slope + field(x + h * slope))


def _from_the_middle(field, x, h):
    middle = x + h / 2 * field(x)
    return middle + h * field(middle)


def _half_step(field, x, h):
    return x + h / 2 * field(x + h / 2 * field(x))


def _from_the_end(field, x, h):
    return x + h * field(x + h * field(x))


def _states():
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 3, generator=draw, dtype=torch.float64)
    x = torch.randn(4, 3, generator=draw, dtype=torch.float64)
    return [(lambda x: torch.tanh(x @ weight), x, h) for h in (0.1, 0.7)]


# --- E1.4, the inverse of a reversible block -----------------------------------------------------------------------


def _inverse(f, g, y1, y2):
    x2 = y2 - g(y1)
    return y1 - f(x2), x2


def _both_from_outputs(f, g, y1, y2):
    return y1 - f(y2), y2 - g(y1)


def _forward_again(f, g, y1, y2):
    x1 = y1 + f(y2)
    return x1, y2 + g(x1)


def _wrong_order(f, g, y1, y2):
    x1 = y1 - f(y2)
    return x1, y2 - g(x1)


def _signs_kept(f, g, y1, y2):
    x2 = y2 + g(y1)
    return y1 + f(x2), x2


def _halves():
    draw = torch.Generator().manual_seed(1)
    y1, y2 = torch.randn(2, 5, 3, generator=draw, dtype=torch.float64)
    return [(torch.sin, torch.tanh, y1, y2), (torch.exp, torch.cos, y2, y1)]


# --- E1.5, order on the line ---------------------------------------------------------------------------------------


def _violations(flow, x):
    return int((torch.diff(flow(x)) <= 0).sum())


def _changed_signs(flow, x):
    return int((torch.sign(flow(x)) != torch.sign(x)).sum())


def _any_violation(flow, x):
    return int((torch.diff(flow(x)) <= 0).any())


def _kept(flow, x):
    return int((torch.diff(flow(x)) > 0).sum())


def _ties_allowed(flow, x):
    return int((torch.diff(flow(x)) < 0).sum())


def _maps():
    x = torch.linspace(-2, 2, 41, dtype=torch.float64)
    maps = torch.tanh, torch.neg, torch.relu, lambda x: x - 1.5 * torch.sin(2 * x), lambda x: x + 1
    return [(each, x) for each in maps]


# --- E1.6, an honest depth -----------------------------------------------------------------------------------------


def _honest(depths, same, fine):
    gap = np.mean(same, axis=1) - np.mean(fine, axis=1)
    for i, depth in enumerate(depths):
        if np.all(np.abs(gap[i:]) < 0.05):
            return depth
    return 0


def _first_small(depths, same, fine):
    gap = np.mean(same, axis=1) - np.mean(fine, axis=1)
    return next((d for d, g in zip(depths, gap, strict=True) if abs(g) < 0.05), 0)


def _signed(depths, same, fine):
    gap = np.mean(same, axis=1) - np.mean(fine, axis=1)
    return next((d for i, d in enumerate(depths) if np.all(gap[i:] < 0.05)), 0)


def _every_seed(depths, same, fine):
    gap = np.abs(np.array(same) - np.array(fine)).max(1)
    return next((d for i, d in enumerate(depths) if np.all(gap[i:] < 0.05)), 0)


def _tables():
    depths = (2, 4, 8, 16)
    same = np.array([[1.0, 1.0], [0.9, 0.9], [0.9, 0.9], [0.8, 0.8]])
    gaps = [
        [[0.5], [0.3], [0.01], [0.0]],
        [[0.01], [0.3], [0.02], [0.0]],
        [[0.5], [-0.2], [0.02], [0.0]],
        [[0.5, 0.5], [0.3, 0.3], [0.07, -0.05], [0.0, 0.0]],
        [[0.2]] * 4,
    ]
    return [(depths, same.tolist(), (same - np.array(gap)).tolist()) for gap in gaps]  # lists, as in the notebook


# --- E1.7, the adjoint by hand -------------------------------------------------------------------------------------


def _adjoint(c, y0, T):
    end = y0 * np.exp(c * T)
    return end * np.exp(c * T), T * end**2


def _without_time(c, y0, T):
    end = y0 * np.exp(c * T)
    return end * np.exp(c * T), end**2


def _not_carried_back(c, y0, T):
    end = y0 * np.exp(c * T)
    return end, T * end**2


def _carried_forward(c, y0, T):
    end = y0 * np.exp(c * T)
    return end * np.exp(-c * T), T * end**2


def _state_for_adjoint(c, y0, T):
    end = y0 * np.exp(c * T)
    return end * np.exp(c * T), (end**2 - y0**2) / (2 * c)


EXERCISES = [
    Exercise(
        "E1.1",
        "What makes a residual network an Euler method?",
        level="recall",
        hints=(
            "Which of the four is an identity between formulas, true for every residual network?",
            "Two of the four are about trained weights, and section 4 has a network that breaks them.",
        ),
        check=same_option("abcd", message="The block is a step, always. Everything else is a property of the weights."),
        solution="a",
        wrong={
            "Nothing forces trained blocks to have small updates; section 4 trains two blocks with large ones.": "b",
            "More steps bring the network closer to its flow, and the flow may be worse: in section 4 it guesses.": "c",
            "Tied weights give one field, but its Euler steps can still be too coarse to follow it.": "d",
        },
    ),
    Exercise(
        "E1.2",
        "A residual block of second order",
        level="compute",
        hints=(
            "Euler takes the slope at the start of the step. Where would a better one be found?",
            "Go half a step with Euler, ask the field there, and take the whole step from the start with that slope.",
        ),
        check=same_function(_states, message="Two evaluations a block, and an error that falls with h²."),
        solution=_midpoint,
        wrong={
            "This is Euler's step: the slope at the start.": _euler,
            "This is Heun's method: of second order too, but it averages the slopes at both ends.": _heun,
            "The slope is right, but the step starts in the middle; it should start from x.": _from_the_middle,
            "The slope is right, but the step is half as long as it should be.": _half_step,
            "This asks for the slope at the end of the step; the midpoint is half a step away.": _from_the_end,
        },
    ),
    Exercise(
        "E1.3",
        "The multistep network of second order",
        level="derive",
        hints=(
            "Put x(t + h), x(t − h) and x' = f / (1 + k) into the block and expand to h².",
            "The terms in h² are (1 − k)/2 · x''. Which k makes them vanish?",
        ),
        check=same_number(tol=1e-3, message="The explicit midpoint rule, x_{n+1} = x_{n−1} + h f(x_n), of step 2h."),
        solution=1.0,
        wrong={
            "k = 0 is the plain residual network, of first order.": 0.0,
            "k = −1 is no method at all: the flow would be x' = f / 0.": -1.0,
            "k = 1/2 averages the two last states; the h² terms do not cancel.": 0.5,
        },
    ),
    Exercise(
        "E1.4",
        "Undo a reversible block",
        level="derive",
        hints=(
            "Which of the two equations holds only one unknown?",
            "y2 = x2 + g(y1) gives x2 at once. With x2 known, the other equation gives x1.",
        ),
        check=same_function(
            _halves, message="No equation had to be solved: that is what makes the block cheap to undo."
        ),
        solution=_inverse,
        wrong={
            "f was applied to x2, not to y2: recover x2 first, then use it.": _both_from_outputs,
            "This is a forward pass; the inverse subtracts, in the opposite order.": _forward_again,
            "The last update must be undone first: x2 = y2 − g(y1), then x1.": _wrong_order,
            "The order is right, the signs are not: what was added must be subtracted.": _signs_kept,
        },
    ),
    Exercise(
        "E1.5",
        "Does a map of the line keep its points in order?",
        level="compute",
        hints=(
            "The points x come sorted. What must hold between neighbours after the map?",
            "torch.diff of the images must be positive; count where it is not, and return an int.",
        ),
        check=same_function(_maps, message="Zero for every flow on the line. A coarse Euler step need not obey."),
        solution=_violations,
        wrong={
            "This counts points that change sign; a shift does that and keeps the order.": _changed_signs,
            "This says whether there is a violation; count them.": _any_violation,
            "This counts the neighbours that keep their order.": _kept,
            "Neighbours with the same image are not in increasing order either: count zeros too.": _ties_allowed,
        },
    ),
    Exercise(
        "E1.6",
        "From how many steps on is a trained network an honest flow?",
        level="extend",
        hints=(
            "Average over seeds first. Then look at the size of the gap, whichever sign it has.",
            "One small gap can be luck: ask for the smallest number of steps from which on all gaps are small.",
        ),
        check=same_function(_tables, message="Now apply it to your own training runs, with more numbers of steps."),
        solution=_honest,
        wrong={
            "This returns the first small gap, although a later one is large again.": _first_small,
            "A flow that is better than its network also has a gap: take the absolute value.": _signed,
            "This asks every seed for a small gap; the exercise asks for the mean over seeds.": _every_seed,
        },
    ),
    Exercise(
        "E1.7",
        "The adjoint by hand",
        level="derive",
        hints=(
            "∂f/∂y = c and ∂f/∂c = y. Begin with the adjoint at the end, a(T) = y(T).",
            "The adjoint is y(T) exp(c (T − t)). Its product with y(t) is the same at all times; integrate it.",
        ),
        check=same_function(
            lambda: [(0.3, 2.0, 1.5), (-1.0, 0.7, 2.0)],
            message="The product of adjoint and state is conserved: that is why claim 1.25 holds.",
        ),
        solution=_adjoint,
        wrong={
            "The integral over [0, T] of a constant is T times it.": _without_time,
            "y(T) is the adjoint at T; carry it back to time 0.": _not_carried_back,
            "The adjoint solves a' = −c a: going back from T to 0 multiplies by exp(cT).": _carried_forward,
            "This integrates y². The integrand is the adjoint times y; the adjoint is not y(t).": _state_for_adjoint,
        },
    ),
]
exercises = Exercises(EXERCISES)
