"""Diffusion of images and graphs, against closed forms: cosines, maximum principles, spectra and resolvents."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import karate_club, photographs
from helpers.layers import GraphDiffusion, PeronaMalik

from .support import DEVICES, DTYPES

few = settings(max_examples=25)
seeds = st.integers(0, 2**32 - 1)
contrasts = st.sampled_from([0.01, 0.1, 1.0, math.inf])


@pytest.fixture(autouse=True)
def double():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(11)
    yield
    torch.set_default_dtype(torch.float32)


# --- images -------------------------------------------------------------------------------------------------------


def cosine(n, k):
    """The k-th eigenvector of the second difference of n pixels without flux through the ends, of length 1."""
    v = torch.cos(math.pi * k * (torch.arange(n) + 0.5) / n)
    return v / v.norm()


def test_linear_steps_are_those_of_the_cosine_transform():
    rows, columns, step, steps = 12, 9, 0.2, 40
    x = torch.randn(rows, columns)
    vertical = torch.stack([cosine(rows, k) for k in range(rows)])
    horizontal = torch.stack([cosine(columns, k) for k in range(columns)])
    decay = [4 * torch.sin(math.pi * torch.arange(n) / (2 * n)).square() for n in (rows, columns)]
    factors = (1 - step * (decay[0][:, None] + decay[1])) ** steps
    expected = vertical.T @ (factors * (vertical @ x @ horizontal.T)) @ horizontal
    torch.testing.assert_close(PeronaMalik(step=step, steps=steps)(x), expected, rtol=0, atol=1e-12)


def test_the_heat_equation_blurs_by_a_gaussian():
    x = torch.zeros(41, 41)
    x[20, 20] = 1
    blurred = PeronaMalik(step=0.05, steps=200)(x)  # t = 10: far from the border
    distance = torch.arange(41) - 20.0
    assert (blurred.sum(0) * distance.square()).sum().item() == pytest.approx(2 * 10, rel=2e-3)
    assert blurred[20, 20].item() == pytest.approx(1 / (4 * math.pi * 10), rel=0.02)


@few
@given(seed=seeds, contrast=contrasts, step=st.sampled_from([0.05, 0.2, 0.25]))
def test_the_mean_is_kept_and_no_value_leaves_the_range(seed, contrast, step):
    torch.manual_seed(seed)
    x = torch.rand(3, 7, 5)
    y = PeronaMalik(contrast, step=step, steps=20)(x)
    torch.testing.assert_close(y.mean((1, 2)), x.mean((1, 2)), rtol=0, atol=1e-14)
    assert (y.amax((1, 2)) <= x.amax((1, 2)) + 1e-14).all() and (y.amin((1, 2)) >= x.amin((1, 2)) - 1e-14).all()
    assert not torch.equal(x, y)


def test_beyond_a_quarter_a_bright_pixel_turns_negative():
    x = torch.zeros(5, 5)
    x[2, 2] = 1
    assert PeronaMalik(step=0.25)(x).min().item() == 0
    assert PeronaMalik(step=0.26, enforce=False)(x)[2, 2].item() == pytest.approx(1 - 4 * 0.26)
    with pytest.raises(ValueError, match="step must be at most 1/4, .*got 0.26"):
        PeronaMalik(step=0.26)


@pytest.mark.parametrize("contrast", [0.05, 1.0, 7.0])
def test_the_flux_is_largest_at_the_contrast_and_half_of_it_there(contrast):
    s = contrast * torch.linspace(0, 10, 1001)
    flux = PeronaMalik(contrast).flux(s)
    assert s[flux.argmax()].item() == pytest.approx(contrast)
    assert flux.max().item() == pytest.approx(contrast / 2)
    torch.testing.assert_close(PeronaMalik(contrast).flux(-s), -flux)


def edge(height, width=2.0, n=41):
    """A smooth edge between two levels, the same in every row."""
    return (height * torch.sigmoid((torch.arange(n) - n // 2) / width)).expand(3, n).clone()


def test_edges_below_the_contrast_flatten_and_edges_above_it_steepen():
    layer = PeronaMalik(0.1, steps=20)
    slopes = {height: [y[1].diff().max().item() for y in (edge(height), layer(edge(height)))] for height in (0.2, 2.0)}
    assert slopes[0.2][0] < 0.1 < slopes[2.0][0], "the steepest difference lies below K, and above it"
    assert slopes[0.2][1] < 0.95 * slopes[0.2][0]
    assert slopes[2.0][1] > 1.02 * slopes[2.0][0]


def test_a_large_contrast_is_the_heat_equation():
    x, heat = torch.rand(8, 8), PeronaMalik(steps=10)
    differences = [(PeronaMalik(k, steps=10)(x) - heat(x)).abs().max().item() for k in (10.0, 100.0, 1000.0)]
    assert differences[0] < 0.1
    # g − 1 is −(s/K)² to leading order
    assert differences[0] / differences[1] == pytest.approx(100, rel=0.05)
    assert differences[1] / differences[2] == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("contrast", [0.1, math.inf])
def test_velocity_is_that_of_single_pairs_of_pixels(contrast):
    """Two pixels exchange one flux, wherever they lie, and what is constant stays."""
    for row, column, other in ((0, 0, (0, 1)), (1, 1, (2, 1))):
        x = torch.zeros(4, 4)
        x[row, column] = 0.3
        given = 0.3 if contrast == math.inf else 0.3 / (1 + 9)
        velocity = PeronaMalik(contrast).velocity(x)
        assert velocity[other].item() == pytest.approx(given)
        neighbours = 2 if (row, column) == (0, 0) else 4
        assert velocity[row, column].item() == pytest.approx(-neighbours * given)
        assert (velocity != 0).sum().item() == neighbours + 1
    assert PeronaMalik(contrast).velocity(torch.ones(3, 2)).abs().max() == 0


def test_rows_and_columns_are_treated_alike():
    x, layer = torch.rand(6, 4), PeronaMalik(0.2, steps=5)
    torch.testing.assert_close(layer(x).T, layer(x.T))
    torch.testing.assert_close(layer(x).flip(0), layer(x.flip(0)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("contrast", [0.1, math.inf])
def test_images_of_a_batch_are_diffused_one_by_one(contrast, dtype, device):
    x, layer = torch.rand(2, 3, 6, 5, dtype=dtype, device=device), PeronaMalik(contrast, steps=4)
    before, together = x.clone(), layer(x)
    alone = torch.stack([torch.stack([layer(image) for image in row]) for row in x])
    assert torch.equal(together, alone) and torch.equal(x, before)
    assert (together.dtype, together.device) == (x.dtype, x.device)
    exact = layer(x.double())
    torch.testing.assert_close(together.double(), exact, rtol=0, atol=1e-6 if dtype == torch.float32 else 1e-15)


@pytest.mark.parametrize("contrast", [0.5, math.inf])
def test_gradients_flow_through_the_steps(contrast):
    x = torch.rand(5, 5, requires_grad=True)
    assert torch.autograd.gradcheck(PeronaMalik(contrast, steps=3), x)


def test_steps_are_one_after_another():
    x = torch.rand(5, 6)
    once, thrice = PeronaMalik(0.2, step=0.1), PeronaMalik(0.2, step=0.1, steps=3)
    assert torch.equal(thrice(x), once(once(once(x))))


def test_perona_and_malik_keep_the_edges_of_a_photograph_that_heat_blurs():
    camera = photographs()["camera"]
    noisy = camera + 0.1 * torch.randn(camera.shape, generator=torch.Generator().manual_seed(0))

    def best(contrast):
        x, errors = noisy, []
        for _ in range(80):
            x = PeronaMalik(contrast, step=0.05)(x)
            errors.append((x - camera).square().mean().item())
        return -10 * math.log10(min(errors))

    assert best(0.1) - best(math.inf) > 1.5, "decibels"


@pytest.mark.parametrize("contrast", [0, -1.0, math.nan, -math.inf])
def test_the_contrast_is_positive(contrast):
    with pytest.raises(ValueError, match="contrast must be positive"):
        PeronaMalik(contrast)


@pytest.mark.parametrize("step", [0, -0.1, math.nan, math.inf])
@pytest.mark.parametrize("enforce", [True, False])
def test_the_step_of_an_image_is_positive(step, enforce):
    with pytest.raises(ValueError, match="step must be positive and finite"):
        PeronaMalik(step=step, enforce=enforce)


@pytest.mark.parametrize(("steps", "error"), [(0, ValueError), (-3, ValueError), (2.0, TypeError), (None, TypeError)])
@pytest.mark.parametrize("make", [PeronaMalik, lambda steps: GraphDiffusion(torch.ones(2, 2), steps=steps)])
def test_steps_are_a_whole_number(make, steps, error):
    with pytest.raises(error, match="steps must be a whole number, at least 1; got"):
        make(steps=steps)


def test_what_is_no_number_is_refused():
    for make in (lambda: PeronaMalik("K"), lambda: PeronaMalik(step=None)):
        with pytest.raises(TypeError, match="must be a number, positive and finite; got"):
            make()


@pytest.mark.parametrize("shape", [(1, 5), (5, 1), (3, 1, 1), (5,), (), (2, 0)])
def test_an_image_has_two_rows_and_columns(shape):
    for call in (PeronaMalik(), PeronaMalik().velocity):
        with pytest.raises(ValueError, match="an image must be .* at least 2 × 2 pixels; got"):
            call(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool, torch.complex64])
def test_pixels_are_real_numbers(dtype):
    with pytest.raises(TypeError, match="pixels must be floating-point numbers"):
        PeronaMalik()(torch.ones(4, 4, dtype=dtype))


def test_a_layer_says_what_it_does():
    assert repr(PeronaMalik(0.1, steps=3)) == "PeronaMalik(contrast=0.1, step=0.2, steps=3)"
    assert repr(PeronaMalik()) == "PeronaMalik(contrast=inf, step=0.2, steps=1)"
    layer = GraphDiffusion(torch.ones(2, 2), method="implicit")
    assert repr(layer) == "GraphDiffusion(nodes=2, step=0.5, steps=1, method='implicit')"


# --- graphs -------------------------------------------------------------------------------------------------------

METHODS = ("explicit", "implicit")


def cycle(n):
    eye = torch.eye(n)
    return eye.roll(1, 0) + eye.roll(-1, 0)


def path(n):
    return torch.diag(torch.ones(n - 1), 1) + torch.diag(torch.ones(n - 1), -1)


def some_graph(n=7):
    """Weighted, connected, with a loop."""
    a = torch.rand(n, n).triu(2)
    a = a + a.T + path(n)
    a[0, 0] = 2.0
    return a


def spectrum(adjacency):
    return torch.linalg.eigvalsh(GraphDiffusion(adjacency).laplacian)


@pytest.mark.parametrize("n", [3, 8, 13])
def test_the_spectra_of_cycle_path_and_complete_graph(n):
    k = torch.arange(n)
    torch.testing.assert_close(spectrum(cycle(n)), (1 - torch.cos(2 * math.pi * k / n)).sort().values)
    torch.testing.assert_close(spectrum(path(n)), 1 - torch.cos(math.pi * k / (n - 1)))
    complete = torch.full((n,), n / (n - 1)).index_fill(0, torch.tensor([0]), 0.0)
    torch.testing.assert_close(spectrum(torch.ones(n, n) - torch.eye(n)), complete)
    # a path has no odd cycle: λ_max is 2, and no graph has more
    assert GraphDiffusion(path(n)).step_limit() == pytest.approx(1)


def test_the_spectrum_of_the_karate_club():
    adjacency, _ = karate_club()
    values = spectrum(adjacency)
    assert values[[0, 1, -1]].tolist() == pytest.approx([0, 0.1323, 1.7146], abs=5e-5)
    assert GraphDiffusion(adjacency).step_limit() == pytest.approx(1.1664, abs=5e-5)


@pytest.mark.parametrize("over", [1.01, 1.1])
def test_beyond_the_limit_explicit_steps_grow_by_the_known_factor(over):
    adjacency, _ = karate_club()
    limit = GraphDiffusion(adjacency).step_limit()
    values, vectors = torch.linalg.eigh(GraphDiffusion(adjacency).laplacian)
    x = GraphDiffusion(adjacency, step=over * limit, steps=1500)(torch.randn(34, 2))
    following = GraphDiffusion(adjacency, step=over * limit)(x)
    fastest = vectors[:, -1]
    assert ((fastest @ following) / (fastest @ x)).tolist() == pytest.approx([1 - 2 * over] * 2)
    assert (following.norm() / x.norm()).item() == pytest.approx(over * limit * values[-1].item() - 1, abs=1e-3)
    below = GraphDiffusion(adjacency, step=limit / over, steps=1500)(torch.randn(34, 2))
    assert below.norm() < 34


@pytest.mark.parametrize("step", [0.1, 1.0, 100.0])
def test_implicit_steps_are_powers_of_the_resolvent(step):
    adjacency, x = some_graph(), torch.randn(7, 3)
    degree = adjacency.sum(0)
    laplacian = torch.eye(7) - adjacency / (degree[:, None] * degree).sqrt()
    expected = x
    for _ in range(4):
        expected = torch.linalg.solve(torch.eye(7) + step * laplacian, expected)
    torch.testing.assert_close(GraphDiffusion(adjacency, step=step, steps=4, method="implicit")(x), expected)


@pytest.mark.parametrize("method", METHODS)
def test_small_steps_reach_the_exponential(method):
    adjacency, x = some_graph(), torch.randn(7, 3)
    values, vectors = torch.linalg.eigh(GraphDiffusion(adjacency).laplacian)
    exact = vectors @ (torch.exp(-2 * values)[:, None] * (vectors.T @ x))
    errors = [(GraphDiffusion(adjacency, step=2 / n, steps=n, method=method)(x) - exact).norm() for n in (200, 400)]
    assert (errors[0] / errors[1]).item() == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_the_root_of_the_degree_is_kept(method):
    for adjacency in (some_graph(), cycle(6), karate_club()[0]):
        x = 3 * adjacency.sum(1, keepdim=True).sqrt()
        layer = GraphDiffusion(adjacency, step=0.9, steps=50, method=method)
        torch.testing.assert_close(layer(x), x)
        assert abs(layer.energy(x).item()) < 1e-12


@pytest.mark.parametrize("method", METHODS)
@few
@given(seed=seeds, step=st.floats(0.01, 1.0))
def test_the_energy_never_grows(method, seed, step):
    torch.manual_seed(seed)
    adjacency, x = some_graph(), torch.randn(7, 2)
    layer = GraphDiffusion(adjacency, step=step, method=method)
    for _ in range(10):
        before, x = layer.energy(x), layer(x)
        assert -1e-14 <= layer.energy(x) <= before + 1e-14


def test_the_energy_is_a_sum_over_edges_and_diffusion_its_gradient_flow():
    adjacency, x = some_graph(), torch.randn(7, 2, requires_grad=True)
    layer = GraphDiffusion(adjacency, step=0.3)
    scaled = x / adjacency.sum(1, keepdim=True).sqrt()
    by_edge = sum(adjacency[i, j] * (scaled[i] - scaled[j]).square().sum() / 2 for i in range(7) for j in range(i))
    torch.testing.assert_close(layer.energy(x), by_edge)
    (slope,) = torch.autograd.grad(layer.energy(x), x)
    torch.testing.assert_close(layer(x), x - 0.3 * slope)


def test_the_energy_of_the_club_decays_at_twice_the_second_eigenvalue_in_the_end():
    adjacency, _ = karate_club()
    layer = GraphDiffusion(adjacency, step=0.01, steps=100, method="implicit")
    x = GraphDiffusion(adjacency, step=0.01, steps=3000, method="implicit")(torch.randn(34, 8))
    rate = math.log(layer.energy(x) / layer.energy(layer(x)))
    assert rate == pytest.approx(2 * 0.1323, abs=0.003)


def test_heat_from_two_heads_finds_31_of_the_other_32_members():
    adjacency, faction = karate_club()
    root_degree = adjacency.sum(1, keepdim=True).sqrt()
    heads = torch.zeros(34, 2)
    heads[0, 0] = heads[33, 1] = 1
    layer = GraphDiffusion(adjacency, step=0.01, steps=200, method="implicit")
    walkers = root_degree * layer(heads / root_degree)
    torch.testing.assert_close(walkers.sum(0), torch.ones(2))  # probabilities of two walkers
    wrong = [i for i in range(1, 33) if (walkers[i, 1] > walkers[i, 0]) != faction[i]]
    assert wrong == [8]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", METHODS)
def test_graphs_in_both_precisions(method, dtype, device):
    adjacency, x = some_graph(), torch.randn(7, 3)
    layer = GraphDiffusion(adjacency, steps=5, method=method)
    exact = layer(x)
    moved = [GraphDiffusion(adjacency.to(device, dtype), steps=5, method=method), layer.to(device, dtype)]
    for other in moved:
        y = other(x.to(device, dtype))
        assert (y.dtype, y.device.type) == (dtype, device)
        torch.testing.assert_close(y.cpu().double(), exact, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_gradients_flow_through_a_graph(method):
    layer = GraphDiffusion(some_graph(), steps=3, method=method)
    assert torch.autograd.gradcheck(layer, torch.randn(7, 2, requires_grad=True))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64])
def test_edges_may_be_truth_values_or_counts(dtype):
    layer = GraphDiffusion(cycle(5).to(dtype))
    assert layer.laplacian.dtype == torch.get_default_dtype()
    assert torch.equal(layer.laplacian, GraphDiffusion(cycle(5)).laplacian)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_do_the_same_and_the_state_has_no_graph(twin):
    x, image = torch.randn(5, 2), torch.rand(4, 4)
    for method in METHODS:
        layer = GraphDiffusion(cycle(5), method=method)
        assert torch.equal(twin(layer)(x), layer(x)) and layer.state_dict() == {}
        assert [name for name, _ in layer.named_buffers()][0] == "laplacian"
    assert torch.equal(twin(PeronaMalik(0.1))(image), PeronaMalik(0.1)(image))


@pytest.mark.parametrize(
    ("adjacency", "told"),
    [
        (torch.ones(2, 3), r"must be square, \(n, n\); got \(2, 3\)"),
        (torch.ones(4), r"must be square.*got \(4,\)"),
        (torch.tensor([[0.0, 1.0], [2.0, 0.0]]), "must be symmetric"),
        (torch.tensor([[0.0, -1.0], [-1.0, 0.0]]), "must hold weights ≥ 0"),
        (torch.tensor([[0.0, math.nan], [math.nan, 0.0]]), "must hold weights ≥ 0, all finite"),
        (torch.tensor([[0.0, math.inf], [math.inf, 0.0]]), "must hold weights ≥ 0, all finite"),
        (torch.zeros(3, 3), "must have an edge"),
        (torch.eye(3), "must have an edge"),
        (torch.zeros(0, 0), "must have an edge"),
    ],
)
def test_what_is_no_graph_is_refused(adjacency, told):
    with pytest.raises(ValueError, match=f"adjacency {told}"):
        GraphDiffusion(adjacency)


def test_a_lonely_node_is_named():
    adjacency = torch.zeros(5, 5)
    adjacency[0, 1] = adjacency[1, 0] = adjacency[3, 4] = adjacency[4, 3] = 1
    adjacency[2, 2] = 1
    with pytest.raises(ValueError, match=r"every node must have a neighbour; node 2 has none \(1 in all\)"):
        GraphDiffusion(adjacency)


@pytest.mark.parametrize("step", [0, -1, math.nan, math.inf])
def test_the_step_of_a_graph_is_positive(step):
    with pytest.raises(ValueError, match="step must be positive and finite"):
        GraphDiffusion(cycle(4), step=step)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method must be 'explicit' or 'implicit'; got 'crank'"):
        GraphDiffusion(cycle(4), method="crank")


@pytest.mark.parametrize("shape", [(5, 2), (3, 2), (4,), (1, 4, 2), ()])
@pytest.mark.parametrize("method", METHODS)
def test_features_have_a_row_a_node(method, shape):
    layer = GraphDiffusion(cycle(4), method=method)
    for call in (layer, layer.energy):
        with pytest.raises(ValueError, match=r"features must have shape \(4, d\), a row a node; got"):
            call(torch.zeros(shape))
