"""Exercises: four verdicts, never a traceback; every exercise against its own right and wrong answers."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
import torch

from helpers.lesson import Exercise, Exercises, Verdict, call, same_function, same_number, same_option
from helpers.lesson.exercise import Unknown


def declared(**changed):
    """An exercise about a number, unless told otherwise."""
    return Exercise(
        **{
            "id": "E1.1",
            "title": "The order of Heun's method",
            "level": "compute",
            "hints": ("Halve the step.", "Compare $e(h)$ with $e(h/2)$."),
            "check": same_number(tol=0.15),
            "solution": 2.0,
            "wrong": {"This is Euler's order.": 1.0, "This is the order of one step.": 3.0},
            **changed,
        }
    )


def step(f, x, h):
    return x + h * f(x + h / 2 * f(x))


def euler(f, x, h):
    return x + h * f(x)


def twice(f, x, h):
    return x + 2 * h * f(x)


def about_a_function(**changed):
    cases = [(torch.sin, torch.linspace(0, 1, 4), 0.1), (torch.cos, torch.ones(2, 3), 0.5)]
    wrong = {"This is Euler's step.": euler, "The step is taken twice.": twice}
    return declared(**{"check": same_function(cases), "solution": step, "wrong": wrong, **changed})


# --- the four verdicts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (None, "not started", "in place of the dots"),
        (..., "not started", "in place of the dots"),
        (2, "right", "Well done"),
        (2.1, "right", "Well done"),
        (np.float32(1.9), "right", "Well done"),
        (torch.tensor(2.0), "right", "Well done"),
        (torch.tensor([2.0], requires_grad=True), "right", "Well done"),
        (1, "wrong value", "This is Euler's order."),
        (3.05, "wrong value", "This is the order of one step."),
        (
            5.0,
            "wrong value",
            "differs from the right one by 150 % of it. A hint may help: exercises['E1.1'].hint(1)",
        ),
        (float("nan"), "wrong value", "not finite"),
        ("2", "wrong type or shape", "A number is asked for; your answer is '2' (str)."),
        (step, "wrong type or shape", "A number is asked for; your answer is a function (step)."),
        ([1.0, 2.0], "wrong type or shape", "A single number is asked for; your answer has the shape (2,)."),
        ([[1.0], [1.0, 2.0]], "raised an exception", "could not use your answer"),
        ({"order": 2}, "wrong type or shape", "A number is asked for"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value),
)
def test_verdicts_on_a_number(answer, kind, told):
    verdict = declared().check(answer)
    assert verdict.kind == kind and told in verdict.message
    assert bool(verdict) == (kind == "right")


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (..., "not started", ""),
        (lambda f, x, h: ..., "not started", ""),
        (lambda f, x, h: None, "not started", ""),
        (step, "right", ""),
        (lambda f, x, h: step(f, x, h) + 1e-12, "right", ""),
        (euler, "wrong value", "This is Euler's step."),
        (twice, "wrong value", "The step is taken twice."),
        (
            lambda f, x, h: step(f, x, h) * 1.5,
            "wrong value",
            "On test 1 of 2: the value differs from the right one by 50 %",
        ),
        (lambda f, x, h: step(f, x, h) * float("inf"), "wrong value", "the result is not finite"),
        (3, "wrong type or shape", "A function is asked for; yours is 3 (int)."),
        (
            lambda f, x, h: 1.0,
            "wrong type or shape",
            "A tensor is asked for; your function's result is 1.0 (float).",
        ),
        (
            lambda f, x, h: x[0],
            "wrong type or shape",
            "The shape (4,) is asked for; your function's result has the shape ().",
        ),
        (lambda f, x: x, "raised an exception", "TypeError: <lambda>() takes 2"),
    ],
    ids=lambda v: v if isinstance(v, str) else getattr(v, "__name__", repr(v)),
)
def test_verdicts_on_a_function(answer, kind, told):
    verdict = about_a_function().check(answer)
    assert verdict.kind == kind and told in verdict.message


def test_a_stub_that_raises_is_not_started():
    def stub(f, x, h):
        raise NotImplementedError

    assert about_a_function().check(stub).kind == "not started"


def test_a_layer_is_a_function_too():
    class Step(torch.nn.Module):
        def forward(self, f, x, h):
            return step(f, x, h)

    class Stub(torch.nn.Module):
        def forward(self, f, x, h): ...

    assert about_a_function().check(Step()) and about_a_function().check(Stub()).kind == "not started"


def test_tuples_are_compared_entry_by_entry():
    exercise = declared(
        check=same_function(lambda: [(1.0, 2.0)]),
        solution=lambda a, b: (a + b, a - b),
        wrong={
            "The signs are exchanged.": lambda a, b: (a - b, a + b),
            "The second is missing its sign.": lambda a, b: (3, 1),
        },
    )
    assert exercise.check(lambda a, b: (3.0, -1.0))
    assert exercise.check(lambda a, b: (-1.0, 3.0)).message == "The signs are exchanged."
    assert (
        "A tuple of 2 is asked for; your function's result is 3.0 (float)."
        in exercise.check(lambda a, b: a + b).message
    )
    assert "has 3 entries" in exercise.check(lambda a, b: (1, 2, 3)).message
    assert "entry 1 of your function's result is 'x' (str)" in exercise.check(lambda a, b: (1.0, "x")).message


def test_arrays_have_shapes():
    exercise = declared(
        solution=np.arange(3.0), wrong={"Reversed.": np.arange(3.0)[::-1], "Shifted.": np.arange(3.0) + 1}
    )
    assert exercise.check([0, 1, 2]) and exercise.check(torch.arange(3))
    assert exercise.check([1, 2, 3]).message == "Shifted."
    assert exercise.check([0, 1]).message == "The shape (3,) is asked for; your answer has the shape (2,)."


def test_choices():
    exercise = declared(
        check=same_option("abc"), solution="b", wrong={"That is Heun.": "a", "That is Kutta.": "c"}
    )
    assert exercise.check(" B ") and exercise.check("(b)") and exercise.check("a").message == "That is Heun."
    assert exercise.check("d").kind == "wrong type or shape"
    assert all(exercise.check(answer) for answer in ("b.", "b)", "( B )"))
    assert exercise.check("b 2").message.endswith("'a', 'b', 'c', and nothing else; yours is 'b 2' (str).")
    assert exercise.check(2).message == "The answer is one of 'a', 'b', 'c', and nothing else; yours is 2 (int)."


def test_a_function_that_works_in_place_spoils_nothing():
    def in_place(f, x, h):
        slope = f(x + h / 2 * f(x))
        return x.add_(h * slope)

    x = torch.ones(3)
    exercise = about_a_function(check=same_function([(torch.sin, x, 0.1), (torch.sin, x, 0.1)]))
    assert exercise.check(in_place) and torch.equal(x, torch.ones(3))


# --- never a traceback ----------------------------------------------------------------------------------


def test_an_exception_is_a_verdict_with_the_line_of_the_student():
    cell = "def my_step(f, x, h):\n    middle = x + h / 2\n    return middl\n"
    scope = {}
    exec(compile(cell, "/tmp/ipykernel_4711/123456.py", "exec"), scope)
    verdict = about_a_function().check(scope["my_step"])
    assert verdict.kind == "raised an exception"
    assert verdict.message.startswith("Your code stops at line 3 of my_step. NameError: name 'middl'")
    assert "exercise.py" not in verdict.message


def test_what_the_student_does_on_purpose_or_the_button_does():
    def leave(f, x, h):
        raise SystemExit(3)

    def stopped(f, x, h):
        raise KeyboardInterrupt

    assert about_a_function().check(leave).kind == "raised an exception"
    with pytest.raises(KeyboardInterrupt):
        about_a_function().check(stopped)


def test_a_forgotten_return_is_not_a_stub():
    def forgotten(f, x, h):
        x = step(f, x, h)

    def documented(f, x, h):
        """To do."""

    verdict = about_a_function().check(forgotten)
    assert verdict.kind == "wrong type or shape"
    assert verdict.message == "Your function returns None: is there a return?"
    assert about_a_function().check(documented).kind == "not started"


def test_numbers_are_written_as_people_write_them():
    far = declared(solution=1.0, wrong={"Ten.": 10.0, "Eleven.": 11.0})
    assert "by 300 % of it" in far.check(4.0).message
    assert "by 2 % of it" in declared(check=same_number(tol=0.01)).check(2.04).message
    assert "by 1e+09." in far.check(1e9).message


class Hostile:
    """Everything that can be done to it raises."""

    def __getattribute__(self, name):
        raise RuntimeError("no")

    __call__ = __len__ = __iter__ = __float__ = __repr__ = __array__ = __eq__ = __bool__ = __getattribute__


@pytest.mark.parametrize(
    "make", [declared, about_a_function, lambda: declared(check=same_option("abc"), solution="a")]
)
def test_nothing_makes_a_check_raise(make):
    for answer in (
        Hostile(),
        Hostile,
        object(),
        type,
        [],
        {},
        "",
        b"",
        1j,
        float,
        print,
        [None],
        np.array([None]),
        lambda: 1,
    ):
        assert isinstance(make().check(answer), Verdict)


def test_a_check_without_a_verdict_is_our_fault():
    verdict = declared(check=lambda answer, exercise: answer == 2).check(2)
    assert verdict.kind == "wrong type or shape" and "the fault is ours" in verdict.message


def test_a_chapters_own_check_may_call_and_judge():
    def check(answer, exercise):
        order = call(answer, 4)
        return Verdict.right() if order == 4 else Verdict.wrong(f"{order} is too low.")

    exercise = declared(check=check)
    assert exercise.check(lambda n: n)
    assert exercise.check(lambda n: n - 1).message == "3 is too low."
    assert exercise.check(lambda n: None).kind == "not started"


# --- how it looks ---------------------------------------------------------------------------------------


def test_a_verdict_reads_the_same_in_text_and_html():
    verdict = declared().check(1)
    assert repr(verdict) == "✗ wrong value: This is Euler's order."
    page = verdict._repr_html_()
    assert 'role="status"' in page and "<strong>✗ wrong value</strong>: This is Euler&#x27;s order." in page
    assert len({repr(declared().check(a)).split()[0] for a in (None, "x", 1, 2)}) == 4


def test_an_exercise_that_is_not_there_is_one_sentence():
    exercises = Exercises([declared(), declared(id="E1.2")])
    assert list(exercises) == ["E1.1", "E1.2"] and exercises.get("9.9") is None
    with pytest.raises(Unknown, match="There is no exercise '9.9'; there are 'E1.1', 'E1.2'.") as told:
        exercises["9.9"]
    assert told.value._render_traceback_() == [str(told.value)]


def test_hints():
    assert repr(declared().hint(1)) == "**Hint 1 of 2.** Halve the step."
    assert declared().hint(2)._repr_markdown_() == "**Hint 2 of 2.** Compare $e(h)$ with $e(h/2)$."
    with pytest.raises(Unknown, match=r"has hint\(1\) and hint\(2\), not hint\(3\)") as told:
        declared().hint(3)
    assert told.value._render_traceback_() == ["Exercise E1.1 has hint(1) and hint(2), not hint(3)."]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"id": "E1"}, "id must be E, chapter and number"),
        ({"title": ""}, "title must not be empty"),
        ({"level": "easy"}, "level must be one of recall, compute, derive, extend"),
        ({"hints": ("one",)}, "hints must be two sentences"),
        ({"hints": "ab"}, "hints must be two sentences"),
        ({"check": None}, "check must be a function"),
        ({"wrong": {"one": 1.0}}, "at least two likely mistakes"),
    ],
)
def test_bad_declaration(changed, told):
    with pytest.raises(ValueError, match=told):
        declared(**changed)


def test_a_verdict_has_one_of_five_kinds():
    kinds = "not started, wrong type or shape, raised an exception, wrong value, right"
    with pytest.raises(ValueError, match=f"kind must be one of {kinds}"):
        Verdict("almost", "nearly there")


# --- the exercises of the collection --------------------------------------------------------------------


def modules():
    """The exercises of every chapter."""
    package = importlib.import_module("helpers.chapters")
    found = [f"helpers.chapters.{m.name}.exercises" for m in pkgutil.iter_modules(package.__path__) if m.ispkg]
    return [importlib.import_module(name) for name in found]


EXERCISES = [
    pytest.param(exercise, id=f"{module.__name__.split('.')[2]}-{exercise.id}")
    for module in modules()
    for exercise in module.exercises.values()
]
MISTAKES = [
    pytest.param(*param.values, mistake, id=f"{param.id}-{i}")
    for param in EXERCISES
    for i, mistake in enumerate(param.values[0].wrong, 1)
]


def test_a_module_holds_the_exercises_of_one_chapter_by_their_ids():
    chapters = []
    for module in modules():
        assert all(key == exercise.id for key, exercise in module.exercises.items())
        (chapter,) = {exercise.id.removeprefix("E").split(".")[0] for exercise in module.exercises.values()}
        chapters.append(chapter)
        assert len(module.exercises) >= (4 if int(chapter) == 0 else 5)
    assert chapters and len(set(chapters)) == len(chapters)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_solution_is_right_and_stub_is_not_started(exercise):
    assert exercise.check(exercise.solution).kind == "right"
    assert exercise.check(...).kind == "not started"
    if callable(exercise.solution):
        assert exercise.check(lambda *arguments: ...).kind == "not started"


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_every_likely_mistake_is_named(exercise, mistake):
    verdict = exercise.check(exercise.wrong[mistake])
    assert verdict.kind == "wrong value" and mistake in verdict.message
