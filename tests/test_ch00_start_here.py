"""The pictures of the map: the four dynamics against their closed forms, the cards against the map they fill."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import matplotlib
import nbformat
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from helpers.chapters import written
from helpers.chapters.ch00_start_here import cards, dynamics
from helpers.chapters.ch00_start_here import figures as pictures
from helpers.figures import style
from helpers.solvers.analysis import observed_order

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
PLACES = list(product(cards.FAMILIES, cards.LEVELS, cards.QUESTIONS))


@pytest.fixture
def points():
    return np.random.default_rng(1).normal(dynamics.CENTRE, 1.0, (dynamics.POINTS, 2))


# --- one cloud, four dynamics -------------------------------------------------------------------------------------


def test_the_exact_flow_solves_the_equation_of_the_whirl(points):
    slope = (dynamics.whirled(points, 0.7 + 1e-5) - dynamics.whirled(points, 0.7 - 1e-5)) / 2e-5
    assert slope == pytest.approx(dynamics.whirl(dynamics.whirled(points, 0.7)), abs=1e-8)
    assert dynamics.whirled(points, 0.0) == pytest.approx(points)


def test_residual_blocks_converge_to_the_flow_like_euler(points):
    steps = [8, 16, 32, 64]
    errors = [np.abs(dynamics.residual_walk(points, 1.0, n) - dynamics.whirled(points, 1.0)).max() for n in steps]
    assert observed_order(steps, errors) == pytest.approx(1.0, abs=0.1)


def test_the_noisy_picture_spreads_alike_and_never_settles(points):
    far = points + 100  # where the whirl is still, only the noise moves them
    ends = [dynamics.residual_walk(far, 2.0, n, noise=0.5) - far for n in (1, 32, 64)]
    assert [end.std() for end in ends] == pytest.approx([0.5 * 2**0.5] * 3, rel=0.1)
    apart = [(one - other).std() for one, other in zip(ends[:-1], ends[1:], strict=True)]
    assert apart == pytest.approx([0.5 * 2**0.5 * 2**0.5] * 2, rel=0.1), "independent of each other"


@pytest.mark.parametrize("layers", [1, 8, 9])
def test_heat_in_fourier_modes_is_a_stack_of_convolutions(layers):
    u = dynamics.heated(0.0, 1)
    for _ in range(layers):
        around = sum(np.roll(u, shift, axis) for shift in (1, -1) for axis in (0, 1))
        u = u + 2.0 / layers * (around - 4 * u)
    assert dynamics.heated(2.0, layers) == pytest.approx(u, abs=1e-6)


def test_heat_is_calm_up_to_a_quarter_and_keeps_the_number_of_points():
    start = dynamics.heated(0.0, 1)
    assert start.sum() == pytest.approx(dynamics.POINTS)
    for time, layers in ((4.0, 16), (0.25, 1)):
        calm = dynamics.heated(time, layers)
        assert np.linalg.norm(calm) < np.linalg.norm(start) and calm.sum() == pytest.approx(dynamics.POINTS)
    assert np.linalg.norm(dynamics.heated(4.0, 8)) > 100 * np.linalg.norm(start)


def test_the_state_solves_its_equation_for_the_held_input():
    times, held, state = dynamics.remembered(3.0, 2.0, samples=1)
    assert state == pytest.approx(held[0] * (1 - np.exp(-3.0 * 2.0 * times)))
    times, held, state = dynamics.remembered(3.0, 2.0, samples=8)
    k = len(held) // 8 * np.arange(9)  # at the samples: the zero-order-hold recurrence
    keep = np.exp(-3.0 * 2.0 / 8)
    assert state[k[1:]] == pytest.approx(keep * state[k[:-1]] + (1 - keep) * held[k[:-1]])
    _, finely_held, _ = dynamics.remembered(3.0, 2.0, samples=64)
    assert held[k[:-1]] == pytest.approx(finely_held[k[:-1]])


def test_the_numbers_in_the_panels_are_those_of_the_alternative():
    figure = Figure((9.6, 3.0))
    returned = pictures.four_dynamics(figure)(L=4, T=2.0, sigma=0.0, gamma=0.5)
    words = [artist.get_text() for artist in returned if hasattr(artist, "get_text")]
    told = pictures.describe_four(L=4, T=2.0, sigma=0.0, gamma=0.5)
    assert words[0] == words[1] and f"{words[0]} from where the exact flow" in told  # no noise: the same picture
    assert words[2:] == ["0.5", "2"] and "h = 0.5, above the limit" in told


# --- the six stops ------------------------------------------------------------------------------------------------


def test_tour():
    t = np.linspace(0, 1, 5)
    figure, alt = pictures.tour(
        layers=np.zeros((3, 2, 2)), flow=np.zeros((9, 2, 2)), means=np.stack([1 + 0 * t, 1 + t / 2], 1),
        sizes={0.25: [2.0, 1.0], 0.26: [2.0, 8.0]}, routes={"up": [(1, 1), (1, 4)], "right": [(1, 1), (5, 1)]},
        memory=(t, t, t[::2], t[::2]), paths=np.stack([t - 1, 2 * t], 1),
    )  # fmt: skip
    FigureCanvasAgg(figure).draw()
    for told in (
        "at 1 with Euler–Maruyama and at 1.5 with Heun",
        "× 0.5 with h = 0.25, × 4 with h = 0.26",
        "(1, 4) by the route up; (5, 1) by the route right",
        "data between 0 and 2",
    ):
        assert told in alt


# --- the map ------------------------------------------------------------------------------------------------------


def test_every_card_stands_on_the_map():
    assert set(cards.CARDS) <= set(PLACES)


@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_a_place_names_its_papers_or_says_that_nothing_is_known(place):
    known = cards.card(*place)
    assert known.headline.endswith(".") and known.text.endswith(".")
    if known.keyword:
        papers = known.papers.split("; ")
        assert all(re.search(r"20\d\d( \(arXiv \d{4}\.\d{5}\))?$", paper) for paper in papers)
        assert any("arXiv" in paper for paper in papers)
    else:
        assert known.headline == "Nothing known to us." and not known.papers and known.chapter is None


def test_keywords_are_different():
    keywords = [card.keyword for card in cards.CARDS.values() if card.keyword]
    assert len(set(keywords)) == len(keywords)


def test_every_card_fits_its_page_and_says_what_the_alternative_says():
    with matplotlib.rc_context():
        style.use()
        figure = Figure((9.6, 4.9), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        update = pictures.field_map(figure)
        update(*PLACES[0])
        canvas.draw()
    figure.set_layout_engine("none")
    for place in PLACES:
        mark, marked, *texts = update(*place)
        boxes = [text.get_window_extent(canvas.get_renderer()) for text in texts]
        assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 for box in boxes), place
        assert all(above.y0 > below.y1 for above, below in zip(boxes[:-1], boxes[1:], strict=True)), place
        word, cell = marked.get_window_extent(), mark.get_window_extent()
        assert cell.x0 <= word.x0 and word.x1 <= cell.x1, place
        told = pictures.describe_place(*place)
        assert all(text.get_text().replace("\n", " ") in told for text in texts)


def in_words():
    """The cell below the map, made from the cards: a headline, the papers and the chapter of every place."""
    files = written()
    lines = ["### The map in words"]
    for family, (name, _) in cards.FAMILIES.items():
        lines += ["", f"**{name[0].upper()}{name[1:]}**", ""]
        for level, question in product(cards.LEVELS, cards.QUESTIONS):
            known = cards.card(family, level, question)
            papers = [paper.partition(" (arXiv")[0] for paper in known.papers.split("; ") if paper]
            # the key of a citation: its first author, and the year
            keys = [re.sub(r"( et al\.|,| &).*(?= \d{4})", "", paper).replace(" ", "").lower() for paper in papers]
            found = "; ".join(f"[{p}](../book/bibliography.md#{key})" for p, key in zip(papers, keys, strict=True))
            n = known.chapter
            goes_on = f"[chapter {n}]({files[n]})" if n in files else f"chapter {n}, to come"
            more = f" {found}." + (f" → {goes_on}" if n is not None else "") if found else ""
            place = f"*{level} · {question}*" + (f", **{known.keyword}**" if known.keyword else "")
            lines.append(f"- {place}: {known.headline}{more}")
    return "\n".join(lines)


def test_the_map_in_words_says_what_the_cards_say():
    notebook = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4)
    (cell,) = [c.source for c in notebook.cells if c.source.startswith("### The map in words")]
    assert cell == in_words()


def test_the_page_links_every_chapter_that_exists_and_announces_the_others():
    notebook = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4)
    (table,) = [c.source for c in notebook.cells if "| chapter | what it asks" in c.source]
    rows = {int(n): rest for n, rest in re.findall(r"^\| (\d) · (.*)$", table, flags=re.M)}
    assert sorted(rows) == list(range(10))
    for number, row in rows.items():
        file = written().get(number)
        if number:
            assert ("(to come)" in row) == (file is None), row
            assert file is None or f"]({file})" in row, row
