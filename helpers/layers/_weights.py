"""What a layer asks of tensors that meet the weights of a module which it was given."""

from __future__ import annotations

from torch import Tensor, nn

from helpers._tensors import finite, rows, same_kind


def finite_rows(name: str, value: Tensor, owner: str, module: nn.Module) -> Tensor:
    """`value` when it is a finite matrix, not empty, of the dtype and on the device of the module's first weight."""
    finite(name, rows(name, value))
    weight = next(module.parameters(), None)
    return value if weight is None else same_kind(name, value, f"{owner}'s weights", weight)
