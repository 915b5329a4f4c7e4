"""What a lesson needs: pictures with controls, claims that are checked, exercises that answer back."""

from helpers.lesson.claim import ClaimFailed, claim
from helpers.lesson.exercise import (
    Exercise,
    Exercises,
    Verdict,
    call,
    same_function,
    same_number,
    same_option,
)
from helpers.lesson.explorer import Choice, Explorer, Slider, Toggle
from helpers.lesson.show import show

__all__ = [
    "Choice",
    "ClaimFailed",
    "Exercise",
    "Exercises",
    "Explorer",
    "Slider",
    "Toggle",
    "Verdict",
    "call",
    "claim",
    "same_function",
    "same_number",
    "same_option",
    "show",
]
