"""A second device for machines without a GPU. Its tensors compute on the CPU, but do not mix with tensors of the CPU.

Inside `other_device()`, the device "meta" holds numbers. An operation on tensors of both devices raises, as on a GPU,
and so does `numpy()` of a tensor that was not moved to the CPU.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

OTHER = torch.device("meta")

aten = torch.ops.aten

MOVES = (aten.copy_.default, aten._to_copy.default)
"""Operations whose purpose is to move numbers between devices."""

INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)
"""Operations that take index tensors of the CPU for a tensor of any device."""


class OtherTensor(Tensor):
    """A tensor of the other device.

    Attributes:
        value: its numbers, a tensor of the CPU.
    """

    value: Tensor

    @staticmethod
    def __new__(cls, value: Tensor) -> OtherTensor:
        return Tensor._make_wrapper_subclass(
            cls, value.shape, strides=value.stride(), dtype=value.dtype, device=OTHER, storage_offset=0
        )

    def __init__(self, value: Tensor) -> None:
        self.value = value

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(function, args, dict(kwargs or {}))


class _Mode(TorchDispatchMode):
    """Sees every operation, also those that make a tensor from none."""

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        return _run(function, args, dict(kwargs or {}))


def _run(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operation on the numbers of its arguments, and put its results on the device that they belong on."""
    tensors = [one for one in tree_flatten((args, kwargs))[0] if isinstance(one, Tensor)]
    remote = [one for one in tensors if isinstance(one, OtherTensor)]
    local = [one for one in tensors if not isinstance(one, OtherTensor) and one.dim()]
    device = kwargs.get("device")
    if remote and local and function not in MOVES and not (function in INDEXED and isinstance(args[0], OtherTensor)):
        raise RuntimeError(f"{function}: expected all tensors to be on the same device")
    is_remote = bool(remote) if device is None else torch.device(device) == OTHER
    if not remote and not is_remote:
        return function(*args, **kwargs)
    if device is not None:
        kwargs["device"] = torch.device("cpu")
    plain_args, plain_kwargs = tree_map(lambda one: one.value if isinstance(one, OtherTensor) else one, (args, kwargs))
    result = function(*plain_args, **plain_kwargs)
    # Operations in place return the very tensor that they changed.
    if function.overloadpacket.__name__.endswith("_"):
        return args[0]
    if "out" in kwargs:
        return kwargs["out"]
    return tree_map(lambda one: OtherTensor(one) if isinstance(one, Tensor) else one, result) if is_remote else result


@contextmanager
def other_device() -> Iterator[None]:
    """Give the device "meta" numbers inside the context."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    # `Module.to` keeps its parameters, as it does for a GPU, so that an optimiser made before still has them.
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with _Mode():
            yield
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)


def move(network: nn.Module) -> None:
    """Move a network's parameters and buffers to the other device, in place."""
    for module in network.modules():
        for name, parameter in list(module._parameters.items()):
            if parameter is not None:
                module._parameters[name] = nn.Parameter(OtherTensor(parameter.detach()), parameter.requires_grad)
        for name, buffer in list(module._buffers.items()):
            if buffer is not None:
                module._buffers[name] = OtherTensor(buffer)
