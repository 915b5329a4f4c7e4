"""What a test does with an explorer that nobody watches: visit its states, hold it to its promises."""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np

from helpers.lesson.explorer import panels


class DriveError(AssertionError):
    """An explorer broke a promise; the text names the explorer, the parameters and the promise."""


def states_of(controls) -> list[dict]:
    """The start; every slider end, option and toggle with the rest at the start; two corners."""
    start = {c.name: c.start for c in controls}
    states = [start, *({**start, c.name: value} for c in controls for value in c.driven())]
    states += [{c.name: c.driven()[end] for c in controls} for end in (-1, 0)]
    return [s for i, s in enumerate(states) if s not in states[:i]]


def drive(explorer) -> list[dict]:
    """Visit every state on the way out and back; compare with figures that never showed anything else.

    Args:
        explorer: an `Explorer`.

    Returns:
        The states visited.

    Raises:
        DriveError: names the explorer, the parameters and the broken promise; an exception or a warning
            raised while drawing is its cause.
    """
    states = states_of(explorer._controls)
    alone, alts = [], {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # Deprecations speak to maintainers of the libraries between us and the screen, not of this picture.
        for category in (DeprecationWarning, PendingDeprecationWarning):
            warnings.simplefilter("ignore", category)
        for state in states:
            with _named(explorer, state):
                _check_alt(explorer, state, alts)
                alone.append(explorer.fresh_canvas().frame(state, whole=True).copy())
        out_and_back = [*zip(states, alone, strict=True), *zip(states[-2::-1], alone[-2::-1], strict=True)]
        for state, expected in out_and_back:
            with _named(explorer, state):
                _check_picture(explorer, state, expected)
        if explorer.panels:
            _check_panels(explorer, states, alone)
    return states


def _check_panels(explorer, states: list[dict], alone: list[np.ndarray]) -> None:
    """In every state each panel must look as it does when only its own controls have left the start."""
    found = panels.parts(explorer, among=states)
    for state, expected in zip(states, alone, strict=True):
        with _named(explorer, state):
            composed = panels.composed(explorer, state, alone[0], found)
            if not np.array_equal(composed, expected):
                raise DriveError(
                    "a panel, or what lies between them, depends on a control that panels does not name there: "
                    f"{_difference(composed, expected)}"
                )


def _check_picture(explorer, state: dict, expected: np.ndarray) -> None:
    partial = explorer.frame(**state).copy()
    width, height = explorer.pixels
    if partial.shape[:2] != (height, width):
        shape = f"{partial.shape[1]} × {partial.shape[0]}"
        raise DriveError(f"the size of the picture is not constant: {shape} pixels, declared {width} × {height}")
    if np.array_equal(partial, expected):
        return
    whole = explorer._canvas.frame(state, whole=True).copy()
    if np.array_equal(whole, expected):
        raise DriveError(
            f"update changed something that it did not return: {_difference(partial, whole)} from a full redraw"
        )
    raise DriveError(
        "the picture depends on what was shown before: "
        f"{_difference(whole, expected)} from a figure that shows nothing but this"
    )


def _check_alt(explorer, state: dict, seen: dict[str, dict]) -> None:
    alt = explorer.describe(**state)
    if not (isinstance(alt, str) and alt.strip()):
        raise DriveError(f"the alt text must be a sentence; got {alt!r}")
    if alt in seen:
        raise DriveError(f"the alt text is the same as at {_written(seen[alt])}: {alt!r}")
    seen[alt] = state


@contextmanager
def _named(explorer, state: dict):
    """Put the explorer's name and the parameters in front of whatever goes wrong."""
    try:
        yield
    except Exception as error:
        told = str(error) if isinstance(error, DriveError) else f"{type(error).__name__}: {error}"
        raise DriveError(f"Explorer {explorer.name!r} at {_written(state)}: {told}") from error


def _written(state: dict) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in state.items())


def _difference(a: np.ndarray, b: np.ndarray) -> str:
    return f"{int((a != b).any(axis=-1).sum())} pixels differ"
