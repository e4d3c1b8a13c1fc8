"""The memory layout in which the grouped convolutions of stacked networks are fast on a GPU.

`torch.vmap` turns the convolutions of P networks into one grouped convolution of maps [b, P*C, H, W]. A GPU computes it
several times faster where these lie channels-last in memory, as [b, H, W, P, C]. Observations are laid out so before
the first layer, and most operations keep the layout. The mode `ChannelsLast` takes care of those that do not.

Axes: P agents, b rows, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

MapsFunction = Callable[..., Tensor]
"""A function of one or more maps [b, P, C, H, W] to maps [b, P, C, H, W]."""


def laid_out(observation: Tensor, channels_axis: int) -> Tensor:
    """Return observations with the same shape, whose agents lie beside their channels in memory.

    Args:
        observation: [P, ..., C, H, W], or pictures [P, ..., h, w, C].
        channels_axis: the axis of the channels, -3 or -1.
    """
    if channels_axis == -1:
        return observation.movedim(0, -2).contiguous().movedim(-2, 0)
    return observation.movedim((0, -3), (-2, -1)).contiguous().movedim((-2, -1), (0, -3))


class _OnStackedMaps(torch.autograd.Function):
    """Applies a function to the maps of all agents at once, where one agent's maps appear to the caller."""

    generate_vmap_rule = False

    @staticmethod
    def forward(function: MapsFunction, *maps: Tensor) -> Tensor:  # noqa: ARG004
        """Refuse to run outside of `torch.vmap`."""
        raise RuntimeError("ChannelsLast is for networks under torch.vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep nothing: the operations inside keep what their gradients need."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], function: MapsFunction, *maps: Tensor) -> tuple[Tensor, int]:
        """Return the function's maps [b, P, C, H, W], and 1, the axis of the agents."""
        stacked = [
            one.unsqueeze(1).expand(-1, info.batch_size, -1, -1, -1) if axis is None else one.movedim(axis, 1)
            for one, axis in zip(maps, in_dims[1:], strict=True)
        ]
        # Ordinary operations of torch, so gradients pass through them in the ordinary way.
        return function(*stacked), 1


def _contiguous(maps: Tensor) -> Tensor:
    """Return maps [b, P, C, H, W], copied to the layout [b, H, W, P, C] unless they have it."""
    return maps.permute(0, 3, 4, 1, 2).contiguous().permute(0, 3, 4, 1, 2)


def _joined(*maps: Tensor) -> Tensor:
    """Return maps [b, P, C, H, W] in the layout [b, H, W, P, C], where C counts the channels of all maps."""
    return torch.cat([one.permute(0, 3, 4, 1, 2) for one in maps], -1).permute(0, 3, 4, 1, 2)


def _convolution(maps: Tensor, *arguments: Any, **options: Any) -> Tensor:
    return torch.conv2d(_OnStackedMaps.apply(_contiguous, maps), *arguments, **options)  # type: ignore[no-untyped-call]


def _pooling(pool: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a pooling that treats the maps of all agents as P*C channels; `torch.vmap` would copy them to P*b rows."""

    def pooled(maps: Tensor, *arguments: Any, **options: Any) -> Tensor:
        def channelwise(stacked: Tensor) -> Tensor:
            joined = pool(_contiguous(stacked).flatten(1, 2), *arguments, **options)
            return joined.reshape(*stacked.shape[:3], *joined.shape[2:])

        return cast(Tensor, _OnStackedMaps.apply(channelwise, maps))  # type: ignore[no-untyped-call]

    return pooled


def _concatenation(tensors: Iterable[Tensor], dim: int = 0) -> Tensor:
    parts = list(tensors)
    if dim == 1 and all(part.dim() == 4 for part in parts):
        return cast(Tensor, _OnStackedMaps.apply(_joined, *parts))  # type: ignore[no-untyped-call]
    return torch.cat(parts, dim)


RULES: Mapping[object, Callable[..., Tensor]] = {
    torch.conv2d: _convolution,
    torch.max_pool2d: _pooling(torch.max_pool2d),
    torch.cat: _concatenation,
}
"""Function of torch → the function that does the same and keeps the layout."""


class ChannelsLast(TorchFunctionMode):
    """Inside this context, stacked networks under `torch.vmap` keep their maps channels-last."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the layout's own rule for a function of torch where there is one."""
        rule: Callable[..., Any] = RULES.get(func, func)
        return rule(*args, **(kwargs or {}))
