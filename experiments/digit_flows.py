"""Generators of digits, judged by more than one number: flow matching beside old methods, and beside copies.

Three judges: the Fréchet distance to the test images in 20 principal components (360 samples against 360 images, since
it falls with the number), the share that a classifier of real digits is sure of, and how near samples are to training
images, relative to test images. A second table is of guidance: a flow that is told the class, and told to exaggerate
it. Learning rates, by the mean of three runs, and the number of Gaussians were chosen on training digits held out.
"""

from __future__ import annotations

import time
from functools import cache, partial

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from helpers.data import digits
from helpers.layers import EmpiricalVelocity, FlowMatching, Guided, TimeMLP, generate, squared_norm
from helpers.metrics import frechet, nearest
from helpers.training import fit

from . import record
from .moon_flows import in_two_rates
from .record import store

SEEDS = (0, 1, 2)
SAMPLES, COMPARED = 1000, 360  # made by each generator; those that the Fréchet distance takes
AXES, COORDINATES = 20, 30  # principal components that it looks at; those that a mixture and a flow live in
SURE = 0.95  # the least probability of a confident classification
EPOCHS, MORE = 150, 40  # at the learning rate, and at a tenth of it; batches of 128
HIDDEN, GUIDED_HIDDEN = 256, 160
LEARNING_RATES, TUNING_SEEDS = (2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2), (0, 1, 2)
GAUSSIANS = (5, 10, 20, 40)
HELD_OUT = 288  # of 1437 training digits
FLOWS = {  # row → method and evaluations of the network
    "flow, 2 evaluations": ("euler", 2),
    "flow, 5 evaluations": ("euler", 5),
    "flow, 10 evaluations": ("euler", 10),
    "flow, 20 evaluations": ("euler", 20),
    "flow, 100 evaluations": ("euler", 100),
    "flow, midpoint, 20": ("midpoint", 20),
}
REAL = ("test images", "training images", "copies")
OLD = ("one Gaussian", "mixture in 30 components")
CLASSES = "a Gaussian for each class, in 30 components"
SMALL = "flow in 30 components, midpoint, 20"
WEIGHTS = (0.0, 1.0, 2.0, 3.0, 5.0)  # of guidance
GUIDED = tuple(f"guided, w = {w:g}" for w in WEIGHTS)
ROWS = (*REAL, *OLD, *FLOWS, SMALL, CLASSES, *GUIDED)


@cache
def pixels(seed: int) -> tuple[Tensor, Tensor]:
    """Training and test images, (n, 64) each, pixels in [−1, 1]."""
    split = digits(seed)
    return 2 * split.train[0] - 1, 2 * split.test[0] - 1


def noise(seed: int, n: int = SAMPLES, features: int = 64) -> Tensor:
    """Standard normal numbers (n, features), the same for all that are compared."""
    return torch.randn(n, features, generator=torch.Generator().manual_seed(80 + seed))


def principal(x: Tensor, k: int) -> Tensor:
    """The first k principal directions of x (n, d), as columns (d, k)."""
    return torch.linalg.svd(x - x.mean(0), full_matrices=False).Vh[:k].T


def judge_network() -> nn.Sequential:
    """A classifier of 64 pixels in [−1, 1], untrained."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


@cache
@torch.enable_grad()
def judge(seed: int) -> nn.Module:
    """The classifier, trained on the real training digits of a split."""
    x, y = digits(seed).train
    settings = {"epochs": 40, "batch_size": 128, "lr": 3e-3, "seed": 7, "device": "cpu", "progress": False}
    return fit(judge_network, (2 * x - 1, y), **settings).model


@torch.no_grad()
def verdict(samples: Tensor, seed: int) -> dict[str, float]:
    """Fréchet distance, share of confident classifications, distance from the training images as a ratio of medians,
    and the longest sample as a ratio to the longest training image: has one run away?
    """
    x, test = pixels(seed)
    axes = principal(x, AXES)
    sure = (judge(seed)(samples).softmax(1).amax(1) > SURE).double().mean().item()
    ratio = nearest(samples, x).median() / nearest(test, x).median()
    found = {"Fréchet": frechet(samples[:COMPARED] @ axes, test @ axes), "confident": sure, "distance": ratio.item()}
    return found | {"farthest": (samples.norm(dim=1).max() / x.norm(dim=1).max()).item()}


@torch.no_grad()
def hits(samples: Tensor, label: Tensor, seed: int) -> dict[str, float]:
    """Share of samples that the judge takes for what was asked, and how far apart those of a class are, as a ratio."""
    x, y = pixels(seed)[0], digits(seed).train[1]
    right = (judge(seed)(samples).argmax(1) == label).double().mean().item()
    apart = [apartness(samples[label == k]) / apartness(x[y == k]) for k in range(10)]
    return {"as asked": right, "variety": record.mean(apart)}


def apartness(x: Tensor) -> float:
    """Mean distance of two different points of x (n, d)."""
    return torch.pdist(x).mean().item()


# --- generators -----------------------------------------------------------------------------------------------------


def copies(x: Tensor, z: Tensor) -> Tensor:
    """Where the exact minimiser of the loss on the training images x carries noise, in 40 steps of Euler."""
    return generate(EmpiricalVelocity(x), z, 40)


def gaussian(x: Tensor, z: Tensor) -> Tensor:
    """Samples of the Gaussian with the images' mean and covariance."""
    root = torch.linalg.cholesky(torch.cov(x.T) + 1e-6 * torch.eye(x.shape[1]))
    return x.mean(0) + z @ root.T


def fitted(x: Tensor, number: int, seed: int) -> tuple[GaussianMixture, Tensor]:
    """A mixture of Gaussians in the first principal components of x, and their directions."""
    axes = principal(x, COORDINATES)
    mixture = GaussianMixture(number, reg_covar=1e-2, random_state=seed)
    return mixture.fit(((x - x.mean(0)) @ axes).numpy()), axes


def mixture(x: Tensor, number: int, seed: int) -> Tensor:
    """Samples of the mixture, back in pixels."""
    law, axes = fitted(x, number, seed)
    drawn = torch.from_numpy(law.sample(SAMPLES)[0])
    mixed = torch.randperm(SAMPLES, generator=torch.Generator().manual_seed(seed))  # scikit-learn sorts them by part
    return drawn[mixed] @ axes.T + x.mean(0)


def by_class(x: Tensor, y: Tensor, label: Tensor, z: Tensor) -> Tensor:
    """Samples of the asked classes: a Gaussian for each, fitted in the first principal components, back in pixels."""
    axes = principal(x, COORDINATES)
    low, made = (x - x.mean(0)) @ axes, torch.empty(len(label), COORDINATES)
    for k in range(10):
        part = low[y == k]
        root = torch.linalg.cholesky(torch.cov(part.T) + 1e-2 * torch.eye(COORDINATES))
        made[label == k] = part.mean(0) + z[label == k, :COORDINATES] @ root.T
    return made @ axes.T + x.mean(0)


def velocity(features: int = 64) -> TimeMLP:
    """The velocity of flow matching, untrained."""
    return TimeMLP(features, hidden=HIDDEN, depth=2)


def train_flow(x: Tensor, seed: int, *, lr: float | None = None) -> TimeMLP:
    """A velocity by flow matching on x (n, d); `lr` None means the one chosen for the stored table."""
    lr = record.load("digit_flows")["settings"]["chosen"]["flow"] if lr is None else lr
    build = lambda: FlowMatching(velocity(x.shape[1]))  # noqa: E731
    return in_two_rates(build, x, lr, seed, EPOCHS, MORE, squared_norm).velocity


def guided_velocity() -> TimeMLP:
    """The velocity that is told the class, untrained."""
    return TimeMLP(64, hidden=GUIDED_HIDDEN, depth=2, classes=10)


def train_guided(seed: int, lr: float, first: int = 0) -> TimeMLP:
    """A velocity with classes, a tenth of the images shown without; of the training images from `first` on."""
    x, y = pixels(seed)[0][first:], digits(seed).train[1][first:]
    labelled = torch.cat([x, y[:, None].to(x.dtype)], 1)
    build = lambda: FlowMatching(guided_velocity())  # noqa: E731
    return in_two_rates(build, labelled, lr, seed, EPOCHS, MORE, squared_norm).velocity


def small_flow(x: Tensor, seed: int, lr: float) -> Tensor:
    """Samples of a flow that lives in the first principal components, back in pixels."""
    axes, z = principal(x, COORDINATES), in_components(x)
    net = train_flow(z / z.std(), seed, lr=lr)
    return generate(net, noise(seed, features=COORDINATES), 20, "midpoint") * z.std() @ axes.T + x.mean(0)


def in_components(x: Tensor) -> Tensor:
    """Images in their first principal components, (n, COORDINATES)."""
    return (x - x.mean(0)) @ principal(x, COORDINATES)


# --- the table ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def held_out_loss(net: nn.Module, x: Tensor, *label: Tensor) -> float:
    """The loss of flow matching on x (n, d), noise and times fixed, 20 of them for each image."""
    x, label = x.repeat(20, 1), tuple(y.repeat(20) for y in label)
    draw = torch.Generator().manual_seed(5)
    z, t = torch.randn(x.shape, generator=draw), torch.rand(len(x), 1, generator=draw)
    return squared_norm(net(t, torch.lerp(z, x, t), *label) - (x - z)).item()


def choose() -> tuple[dict, dict]:
    """What was tried on training digits held out, and the best of each."""

    def split(seed):
        x = pixels(seed)[0]
        return x[HELD_OUT:], x[:HELD_OUT]

    def loss(lr, seed):
        x, held_out = split(seed)
        return held_out_loss(train_flow(x, seed, lr=lr), held_out)

    def nll(number, seed):
        x, held_out = split(seed)
        law, axes = fitted(x, int(number), seed)
        return -law.score(((held_out - x.mean(0)) @ axes).numpy())

    def small_loss(lr, seed):
        low = in_components(pixels(seed)[0])
        x, held_out = (low / low.std())[HELD_OUT:], (low / low.std())[:HELD_OUT]
        return held_out_loss(train_flow(x, seed, lr=lr), held_out)

    def guided_loss(lr, seed):
        label = digits(seed).train[1][:HELD_OUT]
        return held_out_loss(train_guided(seed, lr, HELD_OUT), split(seed)[1], label)

    tried = {
        "flow": record.tune("flow", LEARNING_RATES, loss, TUNING_SEEDS),
        SMALL: record.tune(SMALL, LEARNING_RATES, small_loss, TUNING_SEEDS),
        "guided": record.tune("guided", LEARNING_RATES, guided_loss, TUNING_SEEDS),
        "mixture in 30 components": record.tune("mixture", GAUSSIANS, nll, TUNING_SEEDS),
    }
    return tried, {row: float(min(found, key=found.get)) for row, found in tried.items()}


def generated(row: str, seed: int, settings: dict, net: TimeMLP) -> Tensor:
    """The samples of a row that is no guided one; `net` is the flow of the seed."""
    x, test = pixels(seed)
    if row in FLOWS:
        method, nfe = FLOWS[row]
        return generate(net, noise(seed), nfe, method)
    makers = {
        "test images": lambda: test,
        "training images": lambda: x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:COMPARED]],
        "copies": lambda: copies(x, noise(seed, COMPARED)),
        "one Gaussian": lambda: gaussian(x, noise(seed)),
        "mixture in 30 components": lambda: mixture(x, int(settings["mixture in 30 components"]), seed),
        SMALL: lambda: small_flow(x, seed, settings[SMALL]),
    }
    return makers[row]()


def guided(net: TimeMLP, weight: float, seed: int, nfe: int = 20) -> tuple[Tensor, Tensor]:
    """SAMPLES images of the guided flow by midpoint steps, as many of each class, and the classes asked for."""
    label = torch.arange(SAMPLES) % 10
    return generate(Guided(net, label, weight), noise(seed), nfe, "midpoint"), label


def main() -> None:
    """Choose, measure all rows, print the table and store it, with the guided flow of the first seed and its judge."""
    tried, chosen = choose()
    began = time.process_time()
    nets = {seed: train_flow(pixels(seed)[0], seed, lr=chosen["flow"]) for seed in SEEDS}
    told = {seed: train_guided(seed, chosen["guided"]) for seed in SEEDS}
    seconds = (time.process_time() - began) / (2 * len(SEEDS))
    record.store_network("digit_flow", told[SEEDS[0]])
    record.store_network("digit_judge", judge(SEEDS[0]))
    rows = []
    for row in (*REAL, *OLD, *FLOWS, SMALL):
        run = lambda seed, row=row: verdict(generated(row, seed, chosen, nets[seed]), seed)  # noqa: E731
        rows.append(record.measured(row, SEEDS, run))
    rows.append(record.measured(CLASSES, SEEDS, _class_row))
    for row, weight in zip(GUIDED, WEIGHTS, strict=True):
        rows.append(record.measured(row, SEEDS, partial(_guided_row, told, weight)))
    settings = {
        "data": "scikit-learn digits, 1437 train, 360 test, stratified, split by the seed; pixels in [−1, 1]",
        "flow": f"2 hidden layers of {HIDDEN} ({GUIDED_HIDDEN} with classes); {EPOCHS} epochs, then {MORE} at a tenth",
        "judge": "64–64–10, trained on the training digits",
        "optimiser": "Adam",
        "batch_size": 128,
        "dtype": str(torch.get_default_dtype()),
        f"loss or nll on {HELD_OUT} training digits held out, by learning rate or Gaussians (three runs)": tried,
        "chosen": chosen,
        "seconds to train a flow": seconds,
        "seconds": "of the processor, one thread; of the machine that made the table",
    }
    store("digit_flows", title="Generators of digits", settings=settings, rows=rows)


def _class_row(seed):
    (x, _), y, label = pixels(seed), digits(seed).train[1], torch.arange(SAMPLES) % 10
    samples = by_class(x, y, label, noise(seed))
    return verdict(samples, seed) | hits(samples, label, seed)


def _guided_row(told, weight, seed):
    samples, label = guided(told[seed], weight, seed)
    return verdict(samples, seed) | hits(samples, label, seed)


def load_flow() -> TimeMLP:
    """The stored velocity with classes, of the first seed."""
    return record.load_network("digit_flow", guided_velocity())


def load_judge() -> nn.Module:
    """The stored classifier of the first seed's split."""
    return record.load_network("digit_judge", judge_network())
