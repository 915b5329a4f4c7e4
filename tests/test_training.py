"""`fit` and what surrounds it: determinism, interruption, failure, the device, silence."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import IPython
import numpy as np
import pytest
import torch
from torch import nn

from helpers import training
from helpers._page import on_a_page
from helpers.data import toy
from helpers.training import History, TrainingInterrupted, accuracy, fit, runs, seed_everything, start

from .support import DEVICES

DATA = toy.moons(60)


def net():
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 2))


quick = partial(fit, net, DATA, epochs=5, progress=False, device="cpu")


# --- what a seed fixes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch_size", [None, 16])
def test_the_same_seed_gives_the_same_losses(device, batch_size):
    first, again, other = (quick(device=device, batch_size=batch_size, seed=seed) for seed in (1, 1, 2))
    assert first.loss == again.loss
    assert first.loss != other.loss
    for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(a, b) and a.device.type == device


def test_the_seed_fixes_the_weights_that_a_function_draws_and_no_others():
    def first_loss(model, seed):
        return fit(model, DATA, epochs=1, seed=seed, progress=False, device="cpu").loss[0]

    smooth = partial(nn.Linear, 2, 2)
    assert first_loss(smooth, 0) == first_loss(smooth, 0) != first_loss(smooth, 1)
    model = nn.Linear(2, 2)
    weights = [parameter.clone() for parameter in model.parameters()]
    expected = nn.functional.cross_entropy(model(DATA[0]), DATA[1]).item()
    assert first_loss(model, 7) == pytest.approx(expected, rel=1e-6)
    assert not torch.equal(model.weight, weights[0]), "a module is trained in place"


def test_weights_are_drawn_on_the_cpu():
    places = []

    def make():
        places.append(torch.empty(0).device.type)
        return nn.Linear(2, 2)

    with torch.device("meta"):
        fit(make, DATA, epochs=1, progress=False, device="cpu")
    assert places == ["cpu"]


def test_the_callers_generator_is_left_as_it_was():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    quick(batch_size=16)
    assert torch.equal(torch.rand(1), expected)


def test_seed_everything():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    seed_everything(3)
    first = draw()
    seed_everything(3)
    assert draw() == first
    seed_everything(4)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


# --- what it does -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
def test_it_learns_and_ends_in_eval_mode(device):
    history = fit(net, DATA, epochs=150, lr=0.1, progress=False, device=device)
    assert isinstance(history, History)
    assert len(history.loss) == 150 and history.seconds > 0
    assert history.loss[-1] < 0.2 < history.loss[0]
    assert not any(module.training for module in history.model.modules())
    assert accuracy(history.model, DATA) > 0.95


def test_plain_gradient_descent_on_a_parabola_is_the_closed_form():
    """x ← x − lr · 2 x, so the loss x² before step n is x₀² (1 − 2 lr)^(2n)."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 3.0)
    data = torch.ones(4, 1), torch.zeros(4, 1)
    history = fit(model, data, epochs=6, lr=0.1, loss=nn.functional.mse_loss, optimizer=torch.optim.SGD,
                  progress=False, device="cpu")  # fmt: skip
    assert history.loss == pytest.approx([9 * 0.8 ** (2 * n) for n in range(6)], rel=1e-5)


def test_batches_cover_every_sample_once_an_epoch_in_another_order():
    x = torch.arange(10.0)[:, None]
    seen = []

    class Watch(nn.Linear):
        def forward(self, x):
            seen.append(x.flatten().tolist())
            return super().forward(x)

    def epochs(seed):
        seen.clear()
        mse = nn.functional.mse_loss
        fit(Watch(1, 1), (x, x), epochs=2, batch_size=4, loss=mse, seed=seed, progress=False, device="cpu")
        assert [len(batch) for batch in seen] == [4, 4, 2] * 2
        return sum(seen[:3], []), sum(seen[3:], [])

    first, second = epochs(seed=0)
    assert sorted(first) == sorted(second) == x.flatten().tolist()
    assert first != second and x.flatten().tolist() not in (first, second)
    assert epochs(seed=0) == (first, second) != epochs(seed=1)


def test_the_loss_of_an_epoch_is_the_mean_over_samples_not_over_batches():
    x = torch.tensor([1.0, 1.0, 1.0, 1.0, 6.0])[:, None]

    def ignoring_the_model(output, y):
        return y.mean() + 0 * output.sum()

    history = fit(nn.Linear(1, 1), (x, x), epochs=1, batch_size=2, loss=ignoring_the_model, progress=False,
                  device="cpu")  # fmt: skip
    assert history.loss == pytest.approx([2.0])


def test_the_callback_sees_each_epoch():
    calls = []
    history = quick(callback=lambda epoch, history: calls.append((epoch, len(history.loss))))
    assert calls == [(epoch, epoch) for epoch in range(1, 6)]
    assert repr(history) == f"History(5 epochs, last loss {history.loss[-1]:.3g})"


def test_a_callback_may_measure_the_accuracy_without_leaving_training_mode():
    modes = []

    def measure(epoch, history):
        accuracy(history.model, DATA)
        modes.append(history.model.training)

    with_measurement = quick(callback=measure)
    assert modes == [True] * 5
    assert with_measurement.loss == quick().loss


# --- what can go wrong ------------------------------------------------------------------------------------


def check_usable(model):
    assert not model.training
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert model(DATA[0]).shape == (60, 2)


def test_an_interrupt_between_epochs_ends_the_cell_and_leaves_the_model_usable():
    def stop(epoch, history):
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted, match="stopped after 3 of 100 epochs") as stopped:
        quick(epochs=100, callback=stop)
    history = stopped.value.history
    assert history.loss == quick(epochs=3).loss
    check_usable(history.model)


def test_an_interrupt_within_an_epoch_leaves_the_model_usable():
    class Stopping(nn.Linear):
        calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 5:
                raise KeyboardInterrupt
            return super().forward(x)

    with pytest.raises(KeyboardInterrupt) as stopped:
        fit(Stopping(2, 2), DATA, epochs=100, batch_size=30, progress=False, device="cpu")
    history = stopped.value.history
    assert len(history.loss) == 2, "the unfinished epoch does not count"
    check_usable(history.model)


def test_an_interrupt_ends_the_training_of_all_networks():
    begun = []

    def stop(epoch, history):
        begun.append(epoch)
        raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        [quick(epochs=5, callback=stop) for _ in range(3)]
    assert begun == [1]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_names_its_epoch_and_spares_the_weights(value):
    calls = []

    def breaking(output, y):
        calls.append(1)
        loss = nn.functional.cross_entropy(output, y)
        return loss * value if len(calls) == 4 else loss

    model = net()
    with pytest.raises(FloatingPointError, match=f"the loss became {value} in epoch 4"):
        fit(model, DATA, epochs=9, loss=breaking, progress=False, device="cpu")
    check_usable(model)


@pytest.mark.parametrize("bad, message", [
    ({"epochs": 0}, "epochs must be at least 1; got 0"),
    ({"batch_size": 0}, "batch_size must be at least 1, or None.*got 0"),
    ({"lr": 0}, "lr must be positive and finite; got 0"),
    ({"lr": math.nan}, "lr must be positive and finite; got nan"),
    ({"train": (DATA[0], DATA[1][:-1])}, "equally many samples, at least one; got 60 and 59"),
    ({"train": (DATA[0][:0], DATA[1][:0])}, "equally many samples, at least one; got 0 and 0"),
])  # fmt: skip
def test_bad_arguments(bad, message):
    with pytest.raises(ValueError, match=message):
        fit(**{"model": net, "train": DATA, "progress": False, "device": "cpu"} | bad)


@pytest.mark.parametrize("bad, error, message", [
    ({"epochs": 2.5}, TypeError, "epochs must be a whole number, at least 1; got 2.5"),
    ({"epochs": None}, TypeError, "epochs must be a whole number, at least 1; got None"),
    ({"batch_size": 8.0}, TypeError, "batch_size must be a whole number, at least 1, or None.*got 8.0"),
    ({"lr": "0.1"}, TypeError, "lr must be a number, positive and finite; got '0.1'"),
    ({"seed": None}, TypeError, "seed must be a whole number, at least 0; got None"),
    ({"seed": -1}, ValueError, "seed must be at least 0; got -1"),
    ({"train": DATA[0]}, TypeError, r"train must be a pair \(x, y\) of tensors; got Tensor"),
    ({"train": tuple(part.numpy() for part in DATA)}, TypeError, r"got \['ndarray', 'ndarray'\]"),
])  # fmt: skip
def test_what_is_of_another_kind(bad, error, message):
    with pytest.raises(error, match=message):
        fit(**{"model": net, "train": DATA, "progress": False, "device": "cpu"} | bad)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "1", None])
def test_a_seed_that_some_generator_refuses_seeds_none(seed):
    seed_everything(7)
    before = random.getstate(), torch.get_rng_state()
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        seed_everything(seed)
    assert random.getstate() == before[0] and torch.equal(torch.get_rng_state(), before[1])


def test_what_is_no_model():
    for model in (3, None, lambda: 3):
        with pytest.raises(TypeError, match="model must be an nn.Module or a function that makes one; got"):
            fit(model, DATA, progress=False)


# --- accuracy ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
def test_accuracy_is_the_fraction_of_right_answers(device):
    model = nn.Identity().to(device)
    scores = torch.eye(4)[[0, 1, 2, 3]]
    assert accuracy(model, (scores, torch.tensor([0, 1, 2, 3]))) == 1.0
    assert accuracy(model, (scores, torch.tensor([0, 1, 0, 0]))) == 0.5
    assert accuracy(model, (scores, torch.tensor([1, 0, 0, 0]))) == 0.0


def test_accuracy_measures_in_eval_mode_and_without_gradients():
    class Spy(nn.Linear):
        def forward(self, x):
            assert not self.training and not torch.is_grad_enabled()
            return super().forward(x)

    model = Spy(2, 2)
    accuracy(model.train(), DATA)
    assert model.training
    accuracy(model.eval(), DATA)
    assert not model.training


@pytest.mark.parametrize("scores, labels", [((5, 1), 5), ((5,), 5), ((5, 2), (5, 1)), ((5, 2), 4)], ids=str)
def test_accuracy_wants_scores_and_labels(scores, labels):
    with pytest.raises(ValueError, match="scores of shape"):
        accuracy(nn.Identity(), (torch.zeros(scores), torch.zeros(labels)))


def test_accuracy_of_what_is_not_a_number_is_none():
    scores = torch.tensor([[math.nan, math.nan], [1.0, math.nan], [math.inf, 0.0], [0.0, 1.0]])
    assert accuracy(nn.Identity(), (scores, torch.tensor([0, 1, 0, 1]))) == 0.5


def test_accuracy_of_no_samples_is_an_error():
    with pytest.raises(ValueError, match=r"n ≥ 1, classes ≥ 2.*got \(0, 2\)"):
        accuracy(nn.Identity(), (torch.zeros(0, 2), torch.zeros(0)))
    with pytest.raises(TypeError, match=r"data must be a pair \(x, y\) of tensors; got Tensor"):
        accuracy(nn.Identity(), DATA[0])


# --- device and set-up ------------------------------------------------------------------------------------


def test_the_device_is_the_one_that_the_environment_names(monkeypatch):
    monkeypatch.setenv("HELPERS_DEVICE", "cpu")
    assert training.device() == torch.device("cpu")
    monkeypatch.delenv("HELPERS_DEVICE")
    assert training.device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "mps", "cuda:99", "CPU"])
def test_a_device_that_is_not_there(monkeypatch, name):
    monkeypatch.setenv("HELPERS_DEVICE", name)
    with pytest.raises(ValueError, match=f"HELPERS_DEVICE must be one of cpu.*got '{name}'"):
        training.device()
    with pytest.raises(ValueError, match="HELPERS_DEVICE"):
        fit(net, DATA, progress=False)


def test_start_sets_dtype_and_threads(monkeypatch):
    monkeypatch.setenv("HELPERS_DEVICE", "cpu")
    before = torch.get_default_dtype(), torch.get_num_threads()
    try:
        assert start(torch.float64, threads=2) == torch.device("cpu")
        assert (torch.get_default_dtype(), torch.get_num_threads()) == (torch.float64, 2)
        start()
        assert (torch.get_default_dtype(), torch.get_num_threads()) == (torch.float64, 1)
        with pytest.raises(ValueError, match="threads must be at least 1; got 0"):
            start(threads=0)
        with pytest.raises(TypeError):
            start(torch.int64)
    finally:
        torch.set_default_dtype(before[0])
        torch.set_num_threads(before[1])


# --- picture and progress ---------------------------------------------------------------------------------


def test_the_plot_has_a_logarithmic_labelled_axis():
    from matplotlib.figure import Figure

    history, ax = quick(), Figure().subplots()
    assert history.plot(ax, label="here") is ax
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("epoch", "training loss", "log")
    (line,) = ax.get_lines()
    assert line.get_label() == "here"
    assert line.get_xdata().tolist() == [1, 2, 3, 4, 5] and line.get_ydata().tolist() == history.loss


def test_the_plot_makes_its_own_figure():
    import matplotlib.pyplot as plt

    ax = quick().plot()
    assert len(ax.get_lines()[0].get_xdata()) == 5
    plt.close(ax.figure)


SCRIPT = """
import sys
import helpers.data, helpers.layers, helpers.training
print(sorted({"matplotlib", "sklearn", "torchdiffeq"} & set(sys.modules)))
from helpers.training import fit
import torch
history = fit(lambda: torch.nn.Linear(2, 2), helpers.data.toy.moons(8), epochs=30, device="cpu")
print(len(history.loss))
"""


def test_imports_are_light_and_one_variable_silences_the_bar():
    environment = os.environ | {"TQDM_DISABLE": "1"}
    ran = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.split() == ["[]", "30"]


@pytest.fixture
def loud(monkeypatch):
    """Every state of the line is shown, whatever the environment and the clock say."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    monkeypatch.setattr(training, "REFRESH", 0)


def test_the_line_counts_epochs_and_is_wiped_at_the_end(loud, capsys):
    quick(epochs=30, progress=True)
    _, first, *_, last, wiped, end = capsys.readouterr().err.split("\r")
    assert first.startswith("epoch 1 of 30, loss ") and last.startswith("epoch 30 of 30")
    assert len(wiped) >= len(last) and not wiped.strip() and not end
    quick(progress=False)
    assert capsys.readouterr() == ("", "")


def test_several_networks_are_counted_and_silenced_like_one(loud, capsys, monkeypatch):
    assert [depth for depth in runs((4, 8), "network")] == [4, 8]
    assert capsys.readouterr().err.split("\r")[1:3] == ["network 1 of 2", "network 2 of 2"]
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(runs("ab")) == ["a", "b"] and capsys.readouterr() == ("", "")


def test_on_a_page_the_line_is_text_that_is_taken_away(loud, monkeypatch, capsys):
    """A widget in its place would be an error for who opens the notebook again."""
    seen = []
    handle = SimpleNamespace(update=lambda data, raw: seen.append(data))
    monkeypatch.setattr(training, "on_a_page", lambda: True)
    monkeypatch.setattr(IPython.display, "display", lambda data, **_: seen.append(data) or handle)

    def stop(epoch, history):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        quick(epochs=5, progress=True, callback=stop)
    assert [set(data) for data in seen] == [{"text/plain"}, {"text/plain"}, set()]
    assert seen[1]["text/plain"].startswith("epoch 2 of 5") and capsys.readouterr() == ("", "")


def test_whether_there_is_a_page(monkeypatch):
    assert not on_a_page()
    for shell, there in ((None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=object()), True)):
        monkeypatch.setattr(IPython, "get_ipython", lambda shell=shell: shell)
        assert on_a_page() is there
