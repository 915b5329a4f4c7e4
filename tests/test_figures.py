"""The pictures that several chapters share, and the one look."""

from helpers.figures import convergence, seeds, style
from tests.support import drawn


def test_convergence_takes_one_run_or_several():
    alt = drawn(convergence([1, 2], {"a": [1, 0.5], "b": [[0.3, 0.1]] * 3}, ylabel="error"))
    assert "Error against the number of steps, 1 to 2" in alt and "a from 1e+00 to 5e-01, b from 3e-01 to 1e-01" in alt


def test_seeds_are_all_seen_and_their_means_told():
    rows = [{"row": "a", "clean": [0.5, 0.7, 0.9]}, {"row": "b", "clean": [0.1]}, {"row": "c", "clean": [1.0]}]
    picture = seeds(rows, {"clean": "accuracy"}, labels={"a": "first", "b": "second"})
    assert "accuracy, first: 0.70; accuracy, second: 0.10." in drawn(picture)
    (ax,) = picture[0].axes
    dots = [line.get_xdata().tolist() for line in ax.lines if line.get_ls() == "None"]
    assert dots == [[0.5, 0.7, 0.9], [0.1]]


def test_lines_differ_in_more_than_colour():
    looks = list(style.lines("abcdefg").values())
    for key in ("color", "linestyle", "marker"):
        assert len({str(look[key]) for look in looks}) == 7
