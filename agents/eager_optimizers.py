"""Optimizers that take their steps without PyTorch's compiler, whose import takes two seconds of every process.

`torch.optim` wraps its methods so that `torch.compile` does not trace them, and each wrapper imports `torch._dynamo`
when it is called first. Nothing here is compiled by PyTorch, so the wrappers have no effect but the wait.
"""

from __future__ import annotations

import inspect
from typing import TypeVar, cast

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)

_GRADIENT_FREE = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""Methods without a gradient to switch off."""


_made: dict[type[Optimizer], type[Optimizer]] = {}


def eager(kind: type[Kind]) -> type[Kind]:
    """Return a subclass of an optimizer class, with the same steps bit for bit, that does not import the compiler.

    It must not be passed to `torch.compile`, and `differentiable=True` has no effect.
    """
    if kind not in _made:
        # Below every wrapper, also that of step hooks: the constructor of an optimizer puts it around `step` again.
        methods = {name: inspect.unwrap(getattr(kind, name)) for name in _GRADIENT_FREE}
        step = torch.no_grad()(inspect.unwrap(kind.step))
        _made[kind] = type(kind.__name__, (kind,), {**methods, "step": step})
    return cast(type[Kind], _made[kind])
