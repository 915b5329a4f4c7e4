"""The exercises of chapter 00, the map."""

from __future__ import annotations

import torch

from helpers.lesson import Exercise, Exercises, Verdict, same_function, same_number, same_option

# --- E0.1, eight architectures in the map --------------------------------------------------------------------------

KINDS = ("ODE", "SDE", "PDE", "CDE", "SSM", "generative")
PLACES = {
    "ResNet": "ODE",
    "AntisymmetricRNN": "ODE",
    "stochastic depth": "SDE",
    "parabolic CNN": "PDE",
    "graph diffusion": "PDE",
    "neural CDE": "CDE",
    "HiPPO": "SSM",
    "flow matching": "generative",
}
REASONS = {
    "ResNet": "A residual block is an Euler step of an ordinary equation, and nothing in it is random.",
    "AntisymmetricRNN": "It is recurrent, but its cell is an Euler step of an ordinary equation.",
    "stochastic depth": "Skipping a block at random adds noise to its step.",
    "parabolic CNN": "Its state is an image, a function of space as well as of depth time.",
    "graph diffusion": "Heat on a graph: the graph takes the place of space. It generates nothing, whatever the name.",
    "neural CDE": "It is driven by the increments of a path, dX, not by time.",
    "HiPPO": "It derives the matrices of a linear state-space layer.",
    "flow matching": "It learns the velocity that carries noise to data: an ODE with a column of its own.",
}


def _all_placed(answer, exercise):
    """One sentence for each item that is misplaced."""
    if not isinstance(answer, dict):
        return Verdict.mistyped("The answer is the dictionary from architectures to kinds; fill in its values.")
    if unknown := sorted(str(name) for name in answer if name not in PLACES):
        return Verdict.mistyped(f"{unknown[0]!r} is none of the eight architectures.")
    given = {name: answer.get(name, ...) for name in PLACES}
    if all(kind is ... for kind in given.values()):
        return Verdict.not_started()
    if odd := [name for name, kind in given.items() if kind is not ... and _kind(kind) is None]:
        return Verdict.mistyped(f"{odd[0]}: {given[odd[0]]!r} is no kind; the kinds are {', '.join(KINDS)}.")
    wrong = [name for name, kind in given.items() if kind is ... or _kind(kind) != PLACES[name]]
    if not wrong:
        return Verdict.right("All eight. Some have a second reading: see the map's controlled column, layer level.")
    told = " ".join(f"{name}: {'still open.' if given[name] is ... else REASONS[name]}" for name in wrong)
    return Verdict.wrong(f"{len(PLACES) - len(wrong)} of {len(PLACES)} are right. {told}")


def _kind(name):
    """The kind that is meant, capitals aside; None if there is none."""
    return next((kind for kind in KINDS if str(name).strip().casefold() == kind.casefold()), None)


# --- E0.4, Euler's step --------------------------------------------------------------------------------------------


def _euler(field, x, h):
    return x + h * field(x)


def _without_h(field, x, h):
    return x + field(x)


def _increment(field, x, h):
    return h * field(x)


def _backwards(field, x, h):
    return x - h * field(x)


def _midpoint(field, x, h):
    return x + h * field(x + h / 2 * field(x))


def _steps():
    x = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
    return [(torch.neg, x, 0.1), (torch.sin, x, 0.3), (lambda x: 3 * x, x, 0.7)]


EXERCISES = [
    Exercise(
        "E0.1",
        "Eight architectures on the map",
        level="recall",
        hints=(
            "Ask each of them what drives it: depth alone, noise, space, a path, a signal, or a density?",
            "Two are ordinary, two are partial, and each of the other four kinds has one.",
        ),
        check=_all_placed,
        solution=PLACES,
        wrong={
            REASONS["graph diffusion"]: {**PLACES, "graph diffusion": "generative"},
            REASONS["AntisymmetricRNN"]: {**PLACES, "AntisymmetricRNN": "SSM"},
            REASONS["neural CDE"]: {**PLACES, "neural CDE": "ODE"},
            f"ResNet: {REASONS['ResNet']} stochastic depth: {REASONS['stochastic depth']}": {
                **PLACES,
                "ResNet": "SDE",
                "stochastic depth": "ODE",
            },
            "7 of 8 are right. HiPPO: still open.": {**PLACES, "HiPPO": ...},
        },
    ),
    Exercise(
        "E0.2",
        "Which sentence is wrong?",
        level="recall",
        hints=(
            "Three of the four are claims of the tour. Which one says more than stop 1 has shown?",
            "Stop 1 is an identity between formulas, true for any weights. What would have to be true of the weights?",
        ),
        check=same_option(
            [letter + number for letter in "abcd" for number in "123"],
            message="A block is a step; whether the trained network follows a flow has to be tested. Chapter 1 does.",
        ),
        solution="b2",
        wrong={
            "The sentence is found; the reason is not: every residual block does have the form x + h f(x).": "b1",
            "The sentence is found; the reason is not: rounding is far below anything that matters here.": "b3",
            "That a block is a step holds for every network, trained or not: F = h f with f = F / h.": "a2",
            "The two means were measured at stop 2: both rules are right, each for its own integral.": "c1",
            "Stop 3 measured it: at h = 0.26 the checkerboard grows by 1.08 a layer.": "d2",
        },
    ),
    Exercise(
        "E0.3",
        "On which side does Euler's method err?",
        level="derive",
        hints=(
            "Euler walks along the tangent. Does the tangent of the solution lie above it or below it?",
            "The second derivative of the solution decides: what sign has it for exp(−t), and for exp(t)?",
        ),
        check=same_number(tol=1e-9, message="Both solutions are convex, so their tangents, and Euler, lie below them."),
        solution=(-1, -1),
        wrong={
            "The sign of the slope does not matter: exp(t) and exp(−t) are both convex.": (-1, 1),
            "Only the bend of the curve matters, and exp(−t) bends upwards just as exp(t) does.": (1, -1),
            "A convex curve lies above its tangents, so the tangents lie below it.": (1, 1),
        },
    ),
    Exercise(
        "E0.4",
        "The step in one line",
        level="compute",
        hints=(
            "The new state is the old one plus the step times the velocity at the old one.",
            "Three letters and a call: x, h, and field(x).",
        ),
        check=same_function(_steps, rtol=1e-12, message="With it you have written every residual network at once."),
        solution=_euler,
        wrong={
            "The step h is missing: this is a step of length 1.": _without_h,
            "This is the change of the state; add it to the state.": _increment,
            "The sign is wrong: this walks backwards in time.": _backwards,
            "This is the midpoint method, of second order: right for chapter 1, too good here.": _midpoint,
        },
    ),
]
exercises = Exercises(EXERCISES)
