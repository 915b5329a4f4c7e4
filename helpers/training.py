"""The loop that no chapter repeats: fit, accuracy, seed, device."""

from __future__ import annotations

import math
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

from helpers.notebook import on_a_page

Data = tuple[Tensor, Tensor]
Item = TypeVar("Item")
REFRESH = 0.1  # s between two states of a progress line


class TrainingInterrupted(KeyboardInterrupt):
    """`fit` was stopped by the reader. The cell ends here, so that nothing is measured on what is half trained.

    Attributes:
        history: What was done so far; its model is in eval mode, half trained.
    """

    def __init__(self, history: History, epochs: int):
        self.history = history
        super().__init__(
            f"training was stopped in epoch {len(history.loss) + 1} of {epochs}; the model is half trained, in eval "
            "mode. Right after this, helpers.training.interrupted() gives its history, with the model"
        )


_interrupted: History | None = None


def interrupted() -> History:
    """The history, with the model, of the training that was stopped last.

    Raises:
        LookupError: None was stopped yet.
    """
    if _interrupted is None:
        raise LookupError("no training was stopped yet")
    return _interrupted


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
    """Seed the global generators of Python, numpy and torch (all devices)."""
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
        interrupted: Whether KeyboardInterrupt ended the loop before its last epoch.
    """

    model: nn.Module
    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0
    interrupted: bool = False

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
        return f"History({len(self.loss)} epochs{last}{', interrupted' if self.interrupted else ''})"


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

    The notebook's stop button, KeyboardInterrupt, ends it with `TrainingInterrupted`, so that no cell goes on with a
    network that is half trained; what was done so far is in the exception's history. The caller's random state is left
    as it was.

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
        ValueError: `epochs` or `batch_size` < 1, `lr` ≤ 0, or x and y differ in length.
        TypeError: `model` is neither a module nor a function that makes one.
        TrainingInterrupted: The reader stopped it.
        FloatingPointError: The loss became infinite or not-a-number. The weights are those before that step.
    """
    global _interrupted
    x, y = train
    _check(x, y, epochs, batch_size, lr)
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
        except KeyboardInterrupt:
            history.interrupted = True
            _interrupted = history
            raise TrainingInterrupted(history, epochs) from None
        finally:
            history.seconds = time.perf_counter() - began
            history.model.eval()
            line.wipe()
    return history


def accuracy(model: nn.Module, data: Data) -> float:
    """The fraction of samples whose largest output is that of their class.

    Evaluated in eval mode and without gradients, on the device of the model's parameters; the model's mode is
    restored.

    Args:
        model: Maps x (n, …) to class scores (n, classes).
        data: The pair (x, y), y (n,) of class numbers.

    Raises:
        ValueError: The scores are not of shape (n, classes ≥ 2), or y not of shape (n,).
    """
    x, y = data
    parameter = next(model.parameters(), x)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            scores = model(x.to(parameter.device))
    finally:
        model.train(was_training)
    if scores.ndim != 2 or scores.shape[1] < 2 or y.shape != scores.shape[:1]:
        raise ValueError(
            "accuracy wants scores of shape (n, classes ≥ 2) and labels of shape (n,); "
            f"got {tuple(scores.shape)} and {tuple(y.shape)}"
        )
    return (scores.argmax(dim=1) == y.to(scores.device)).double().mean().item()


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
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1; got {epochs}")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, or None for all samples at once; got {batch_size}")
    if not 0 < lr < math.inf:
        raise ValueError(f"lr must be positive and finite; got {lr}")
