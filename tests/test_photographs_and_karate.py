"""The photographs and the karate club: what their sources say of them."""

from __future__ import annotations

import itertools

import networkx
import numpy as np
import pytest
import torch

from helpers.data import karate_club, photographs
from helpers.data.photographs import FILE

from .support import DTYPES

SHAPES = {
    "camera": (256, 256),
    "chelsea": (150, 225),
    "coffee": (200, 256),
    "brick": (256, 256),
    "gravel": (256, 256),
    "grass": (256, 256),
}


@pytest.fixture(params=DTYPES, ids=str)
def dtype(request):
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


def test_there_are_six_photographs_of_known_shapes():
    assert {name: tuple(image.shape) for name, image in photographs().items()} == SHAPES
    assert list(photographs()) == list(SHAPES)


def test_grey_values_are_those_of_8_bits_in_the_default_dtype(dtype):
    for name, image in photographs().items():
        assert image.dtype == dtype and 0 <= image.min() and image.max() <= 1
        levels = (255 * image).round()
        torch.testing.assert_close(image, levels / 255)
        assert len(levels.unique()) > 100 and image.std() > 0.05, name
        assert 0.3 < image.mean() < 0.6, name


def test_no_two_photographs_are_equal_and_each_call_makes_its_own():
    images = photographs()
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(images.values(), 2))
    images["camera"].zero_()
    assert photographs()["camera"].max() > 0.9


def test_every_source_and_the_licence_are_named():
    beside = FILE.with_name("PHOTOGRAPHS.md").read_text(encoding="utf-8")
    for text in (photographs.__doc__, beside):
        for name in ("CC0", "scikit-image 0.26.0", "Lav Varshney", "Stéfan van der Walt", "Rachel Michetti"):
            assert name in text
        for name in ("CC0Textures", "DeviantArt", *SHAPES):
            assert name in text


def test_the_file_holds_these_and_nothing_else():
    with np.load(FILE) as stored:
        assert set(stored) == set(SHAPES) and {stored[name].dtype for name in stored} == {np.dtype("uint8")}
    assert FILE.stat().st_size < 300_000


def test_the_club_is_that_of_the_study(dtype):
    adjacency, faction = karate_club()
    assert adjacency.shape == (34, 34) and adjacency.dtype == dtype
    assert faction.shape == (34,) and faction.dtype == torch.bool
    assert torch.equal(adjacency, adjacency.T) and adjacency.diag().sum() == 0
    assert adjacency.unique().tolist() == [0, 1] and adjacency.sum().item() == 2 * 78
    degrees = adjacency.sum(1)
    # the two heads know most of the others, and member 11 nobody but the instructor
    assert (degrees[0].item(), degrees[33].item(), degrees[11].item()) == (16, 17, 1)
    assert faction.sum().item() == 17 and not faction[0] and faction[33]
    # the one whom Zachary's model misplaced: near the officer, and went with the instructor
    assert not faction[8]


def test_most_friendships_lie_within_a_faction():
    adjacency, faction = karate_club()
    club = networkx.karate_club_graph()
    across = sum(club.nodes[a]["club"] != club.nodes[b]["club"] for a, b in club.edges)
    assert adjacency[faction][:, ~faction].sum().item() == across < 78 / 6


def test_importing_the_data_imports_no_graph_package(run_python):
    # torch itself may, so what counts is that this adds nothing
    code = (
        "import sys, torch; a = 'networkx' in sys.modules; import helpers.data; print(a == ('networkx' in sys.modules))"
    )
    assert run_python(code).strip() == "True"
