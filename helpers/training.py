"""The loop that no chapter repeats: fit, accuracy, seed, device."""

from __future__ import annotations

import math
import numbers
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from . import _checks
from ._page import on_a_page

Data = tuple[Tensor, Tensor]
Item = TypeVar("Item")
REFRESH = 0.1  # s between two states of a progress line


def device() -> torch.device:
    """Where training takes place: what HELPERS_DEVICE names, else the first GPU that CUDA offers, else the
    CPU.

    Raises:
        ValueError: HELPERS_DEVICE is neither "cpu" nor "cuda" nor "cuda:N", or names a GPU that is not there.
    """
    name = os.environ.get("HELPERS_DEVICE", "").strip()
    gpus = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    allowed = ["cpu", *["cuda"][: len(gpus)], *gpus]
    if name and name not in allowed:
        raise ValueError(f"HELPERS_DEVICE must be one of {', '.join(allowed)} on this machine; got {name!r}")
    return torch.device(name or ("cuda" if gpus else "cpu"))


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, numpy and torch (all devices).

    Raises:
        TypeError, ValueError: `seed` is not a whole number from 0 to 2³² − 1.
    """
    seed = _checks.seed(seed, _checks.NUMPYS_LARGEST_SEED)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def start(dtype: torch.dtype = torch.float64, threads: int = 1) -> torch.device:
    """The set-up of a chapter: torch's default dtype and number of threads; returns `device()`.

    One thread is the faster choice for the small networks of this collection, and keeps printed numbers the
    same on machines with different numbers of cores.

    Raises:
        TypeError: `dtype` is not a floating-point type.
        ValueError: `threads` < 1, or HELPERS_DEVICE is not valid.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1; got {threads}")
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    return device()


@dataclass
class History:
    """What `fit` has done.

    Attributes:
        model: The trained model, in eval mode.
        loss: The mean training loss of each completed epoch, each batch measured before its step.
        seconds: Wall-clock time of the loop.
    """

    model: nn.Module
    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def plot(self, ax=None, **line):
        """Draw the loss over the epochs, on a logarithmic axis.

        Args:
            ax: Matplotlib axes; None makes a figure.
            **line: Passed on to `ax.plot`.

        Returns:
            The axes.
        """
        if ax is None:
            import matplotlib.pyplot as plt  # here: training needs no drawing library

            _, ax = plt.subplots()
        ax.plot(range(1, len(self.loss) + 1), self.loss, **line)
        ax.set(xlabel="epoch", ylabel="training loss", yscale="log")
        return ax

    def __repr__(self) -> str:
        last = f", last loss {self.loss[-1]:.3g}" if self.loss else ""
        return f"History({len(self.loss)} epochs{last})"


class TrainingInterrupted(KeyboardInterrupt):
    """`fit` was stopped by the reader. The cell ends here, so that nothing is measured on what is half trained.

    Attributes:
        history: What was done so far; its model is in eval mode, half trained.
    """

    def __init__(self, history: History, epochs: int):
        super().__init__(
            f"training was stopped after {len(history.loss)} of {epochs} epochs; the model is half trained, in eval "
            "mode. Right after this, sys.last_value.history has its losses, and the model"
        )
        self.history = history


class Progress:
    """One line of text that is written over, and wiped at the end: on a notebook's page it leaves nothing behind.

    Text, not a widget: a widget dies with its kernel, and its place would then say so. TQDM_DISABLE=1 silences it.
    """

    def __init__(self, wanted: bool = True):
        self._wanted = wanted and os.environ.get("TQDM_DISABLE") != "1"
        self._told, self._width, self._display = time.monotonic(), 0, None

    def tell(self, line: str, *, now: bool = False) -> None:
        """Show the line in place of the one before; one that comes too soon is left out, unless it must be `now`."""
        if not self._wanted or time.monotonic() - self._told < REFRESH and not now:
            return
        self._told = time.monotonic()
        if on_a_page():
            self._show({"text/plain": line})
        else:
            self._write(line)

    def wipe(self) -> None:
        """Leave nothing behind."""
        if self._display is not None:
            self._show({})  # an output without a form is not shown
        elif self._width:
            self._write("")
            self._write("")

    def _show(self, data: dict) -> None:
        from IPython.display import display  # here: training needs no notebook

        if self._display is None:
            self._display = display(data, raw=True, display_id=True)
        else:
            self._display.update(data, raw=True)

    def _write(self, line: str) -> None:
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)


def runs(items: Iterable[Item], label: str = "network") -> Iterator[Item]:
    """The items, one after another, with a line that says which of how many is at work: "network 3 of 12".

        models = {depth: fit(partial(net, depth), data).model for depth in runs(depths)}

    Args:
        items: What to go through.
        label: What one of them is called.
    """
    items, line = list(items), Progress()
    try:
        for number, item in enumerate(items, 1):
            line.tell(f"{label} {number} of {len(items)}", now=True)
            yield item
    finally:
        line.wipe()


def fit(
    model: nn.Module | Callable[[], nn.Module],
    train: Data,
    *,
    epochs: int = 200,
    batch_size: int | None = None,
    lr: float = 1e-2,
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.Adam,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
    callback: Callable[[int, History], None] | None = None,
) -> History:
    """Train `model` on `train` and return what happened; the same seed gives the same losses.

    The caller's random state is left as it was.

    Args:
        model: A module, trained in place; or a function without arguments that makes one, in which case
            `seed` also fixes its initial weights, drawn on the CPU wherever training takes place.
        train: The pair (x, y), first axis = samples.
        epochs: Passes through the data.
        batch_size: Samples a step, shuffled anew in every epoch; None means all of them in one step.
        lr: Learning rate.
        loss: loss(model(x), y) → 0-d tensor, a mean over samples; None means cross entropy.
        optimizer: Called as optimizer(parameters, lr=lr); for more settings hand in a `functools.partial`.
        seed: Of the order of the batches, of random layers (dropout), and of the weights that a function
            draws.
        device: Where to train; None means `device()`. The model stays there.
        progress: Whether to show a line of progress, which vanishes at the end; TQDM_DISABLE=1 silences all of
            them.
        callback: Called after each epoch as callback(epoch, history), epoch = 1, 2, …; the model is
            `history.model`.

    Returns:
        The history; its model is in eval mode.

    Raises:
        ValueError: `epochs` or `batch_size` < 1, `lr` ≤ 0, `seed` < 0 or ≥ 2⁶³, or x and y differ in length.
        TypeError: `model` is neither a module nor a function that makes one, `train` no pair of tensors, or a
            number not one.
        FloatingPointError: The loss became infinite or not-a-number. The weights are those before that step.
        TrainingInterrupted: KeyboardInterrupt, such as the notebook's stop button, ended the loop; it has the history.
    """
    x, y = _pair("train", train)
    _check(x, y, epochs, batch_size, lr)
    seed = _checks.seed(seed)
    where = _resolved(device)
    loss = nn.functional.cross_entropy if loss is None else loss
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(seed)
        history = History(_made(model).to(where).train())
        train = x.to(where), y.to(where)
        order = None if batch_size is None else torch.Generator(device="cpu").manual_seed(seed)
        steps = optimizer(history.model.parameters(), lr=lr)
        line = Progress(progress)
        began = time.perf_counter()
        try:
            for epoch in range(1, epochs + 1):
                batches = _batches(*train, batch_size, order)
                history.loss.append(_epoch(history.model, batches, loss, steps, epoch))
                line.tell(f"epoch {epoch} of {epochs}, loss {history.loss[-1]:.3g}")
                if callback is not None:
                    callback(epoch, history)
        except KeyboardInterrupt as stop:
            raise TrainingInterrupted(history, epochs) from stop
        finally:
            history.seconds = time.perf_counter() - began
            history.model.eval()
            line.wipe()
    return history


def accuracy(model: nn.Module, data: Data) -> float:
    """The fraction of samples whose largest output is that of their class; where one is not a number, none is.

    Evaluated in eval mode and without gradients, on the device of the model's parameters; the model's mode is
    restored.

    Args:
        model: Maps x (n, …) to class scores (n, classes).
        data: The pair (x, y), y (n,) of class numbers.

    Raises:
        TypeError: `data` is no pair of tensors.
        ValueError: The scores are not of shape (n ≥ 1, classes ≥ 2), or y not of shape (n,).
    """
    x, y = _pair("data", data)
    parameter = next(model.parameters(), x)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            scores = model(x.to(parameter.device))
    finally:
        model.train(was_training)
    if scores.ndim != 2 or not len(scores) or scores.shape[1] < 2 or y.shape != scores.shape[:1]:
        raise ValueError(
            "accuracy wants scores of shape (n ≥ 1, classes ≥ 2) and labels of shape (n,); "
            f"got {tuple(scores.shape)} and {tuple(y.shape)}"
        )
    right = (scores.argmax(dim=1) == y.to(scores.device)) & ~scores.isnan().any(dim=1)
    return right.double().mean().item()


def _pair(name, data):
    """`data` as a pair of tensors."""
    if not isinstance(data, tuple | list) or len(data) != 2 or not all(map(torch.is_tensor, data)):
        kinds = [type(part).__name__ for part in data] if isinstance(data, tuple | list) else type(data).__name__
        raise TypeError(f"{name} must be a pair (x, y) of tensors; got {kinds}")
    return data


def _resolved(choice):
    return device() if choice is None else torch.device(choice)


def _made(model):
    """The module itself, or the one that the function makes, with its weights drawn on the CPU."""
    if not isinstance(model, nn.Module) and callable(model):
        with torch.device("cpu"):
            model = model()
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module or a function that makes one; got {model!r:.80}")
    return model


def _batches(x, y, size, order):
    """One epoch: everything at once, or shuffled parts of `size` samples."""
    if size is None:
        yield x, y
        return
    for part in torch.randperm(len(x), generator=order, device="cpu").to(x.device).split(size):
        yield x[part], y[part]


def _epoch(model, batches: Iterable[Data], loss, steps, epoch):
    """One step a batch; returns the mean loss over the samples."""
    total, samples = 0.0, 0
    for x, y in batches:
        steps.zero_grad()
        value = loss(model(x), y)
        number = value.item()
        if not math.isfinite(number):
            raise FloatingPointError(f"the loss became {number} in epoch {epoch}; a smaller lr may help")
        value.backward()
        steps.step()
        total += number * len(x)
        samples += len(x)
    return total / samples


def _check(x, y, epochs, batch_size, lr):
    if len(x) != len(y) or not len(x):
        raise ValueError(f"x and y must hold equally many samples, at least one; got {len(x)} and {len(y)}")
    _checks.whole("epochs", epochs, 1)
    if batch_size is not None:
        _checks.whole("batch_size", batch_size, 1, ", or None for all samples at once")
    if not isinstance(lr, numbers.Real):
        raise TypeError(f"lr must be a number, positive and finite; got {lr!r}")
    if not 0 < lr < math.inf:
        raise ValueError(f"lr must be positive and finite; got {lr}")
