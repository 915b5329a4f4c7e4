"""What a solver says when it cannot go on: every message carries the time, the step size and the method."""


class SolverError(RuntimeError):
    """A solve that was well posed as a call but could not be carried out."""


class NonFiniteStateError(SolverError):
    """The state, or the vector field at it, became infinite or not-a-number."""


class StepSizeUnderflowError(SolverError):
    """The controller asked for a step that no longer changes the time in floating point."""


class TooManyStepsError(SolverError):
    """An adaptive solve used up `max_num_steps` before it reached the last time."""


class InstabilityError(SolverError):
    """The two states of the reversible scheme moved apart: neither is the solution."""


class NewtonError(SolverError):
    """The Newton iteration of an implicit step did not converge."""
