"""The `impala` network: the large residual network of Espeholt et al. (2018), as in `procgenAISC`.

Its tensors have the names and order of the checkpoints published with Langosco et al. (2022), which load unchanged. It
takes pictures of one size, or planes of one maze size.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, ClassVar, cast

import msgspec
import torch
from torch import Tensor, nn

from goalmaze.agents.networks.base import PICTURES, PLANES, Network, NetworkOptions, Shape, Site
from goalmaze.agents.networks.layers import initialise_xavier
from goalmaze.agents.networks.registry import register_network
from goalmaze.envs.errors import GoalmazeError

COLOURS = 3
"""Colour channels of a picture."""

HIDDEN = 256
"""Hidden units behind the convolutions."""

MIDDLE = 0.5
"""The middle of the range of colours from 0 to 1."""

WIDTHS = (16, 32, 32)
"""Channels of the three blocks at scale 1."""

PARTS = ("conv", "maxpool", "res1", "res2")
"""The parts of a block, whose outputs are sites."""


@dataclasses.dataclass(frozen=True)
class ImpalaOptions(NetworkOptions):
    """Hyperparameters.

    Attributes:
        scale: factor on the channels of every block; 1 and 4 in the published agents. Channels are rounded to whole
            numbers.
        stride: stride of the first convolution, 1 in the published agents. A stride of 2 halves the sides of every map
            and reduces the time of training to about a third.
        centred: whether colours are scaled to -0.5 … 0.5 instead of 0 … 1, the range of the published agents. With one
            seed on Procgen's pictures, a new network started to learn sooner with it.
        cells: number of cells along a side of a picture, 15 for Procgen's easy mazes and 25 for hard ones; 0 for the
            published network. With it, the first convolution reads every cell once, and the first block keeps a
            position for each cell instead of halving the sides, so that one activation belongs to one cell. It learns
            mazes with a small part of the steps.
    """

    scale: Annotated[int, msgspec.Meta(ge=1, le=16)] | Annotated[float, msgspec.Meta(ge=0.25, le=16)] = 1
    stride: Annotated[int, msgspec.Meta(ge=1, le=4)] = 1
    centred: bool = False
    cells: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0


class Residual(nn.Module):
    """A residual part: x ← x + conv2(relu(conv1(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        return cast(Tensor, x + self.conv2(torch.relu(self.conv1(torch.relu(x)))))


class Block(nn.Module):
    """A convolution, max pooling that halves the sides, and two residual parts."""

    conv: nn.Module
    maxpool: nn.Module

    def __init__(self, planes: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(planes, channels, 3, stride, padding=1)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.res1 = Residual(channels)
        self.res2 = Residual(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, c, h, w] to [B, C, ⌈h/2s⌉, ⌈w/2s⌉], s the stride."""
        return cast(Tensor, self.res2(self.res1(self.maxpool(self.conv(x)))))


class CellConvolution(nn.Module):
    """A convolution that reads every cell of a picture once, whose cells need not be whole numbers of pixels wide.

    Args:
        planes: channels of the picture.
        channels: channels of the map.
        cells: number of cells along a side.
        side: larger side of the picture in pixels.
    """

    def __init__(self, planes: int, channels: int, cells: int, side: int) -> None:
        super().__init__()
        self.cells, self.pixels = cells, -(-side // cells)
        self.conv = nn.Conv2d(planes, channels, self.pixels, stride=self.pixels)

    def drawn(self, x: Tensor) -> Tensor:
        """Return a picture [B, c, h, w] with the same whole number of pixels for each cell, as few as keep them all."""
        # Not `interpolate`, which torch.vmap runs agent by agent. Pictures come and leave channels-last: on a CPU this
        # takes a quarter of the time, and the pooling behind it a tenth.
        x = x.permute(0, 2, 3, 1)
        for axis in (2, 1):
            side = x.shape[axis]
            twice_middles = 2 * torch.arange(self.cells * self.pixels, device=x.device) + 1
            nearest = twice_middles * side // (2 * self.cells * self.pixels)
            x = x.index_select(axis, nearest)
        return x.permute(0, 3, 1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, c, h, w] to [B, C, cells, cells]."""
        return cast(Tensor, self.conv(self.drawn(x)))


class Embedder(nn.Module):
    """Three blocks, and hidden units that are fully connected to the last map."""

    def __init__(self, planes: int, widths: tuple[int, ...], cells: int, stride: int) -> None:
        super().__init__()
        self.block1 = Block(planes, widths[0], stride)
        self.block2 = Block(widths[0], widths[1])
        self.block3 = Block(widths[1], widths[2])
        self.relu = nn.ReLU()
        self.fc = nn.Linear(widths[2] * cells, HIDDEN)
        self.hidden = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B, F]."""
        maps = self.relu(self.block3(self.block2(self.block1(x))))
        return cast(Tensor, self.hidden(self.fc(maps.flatten(1))))


def make_embedder(shape: Shape, options: ImpalaOptions) -> Embedder:
    """Return the three blocks and the hidden units for observations of a shape.

    Raises:
        GoalmazeError: the options have a number of cells for planes, or for a picture with fewer pixels.
    """
    sides, widths = _sides(shape), _widths(options)
    if not options.cells:
        # Three poolings halve the sides, each rounding up: ⌈side / 8s⌉.
        height, width = (-(-side // (8 * options.stride)) for side in sides)
        return Embedder(shape.planes, widths, height * width, options.stride)
    if shape.spec.mode not in PICTURES or options.cells > min(sides) or options.stride > 1:
        raise GoalmazeError(
            f"option cells={options.cells} of network impala needs a picture with at least as many pixels along each "
            "side, and stride=1: planes have one number for each cell already"
        )
    embedder = Embedder(shape.planes, widths, (-(-options.cells // 4)) ** 2, stride=1)
    embedder.block1.conv = CellConvolution(shape.planes, widths[0], options.cells, max(sides))
    embedder.block1.maxpool = nn.Identity()
    return embedder


def scaled_observation(observation: Tensor, shape: Shape, centred: bool, network: str) -> Tensor:
    """Return planes [B, C, H, W] as they are, or pictures as [B, 3, h, w] with scaled colours.

    Args:
        observation: planes [B, C, H, W], or pictures [B, h, w, 3] or [B, 3, h, w].
        shape: the shape that the network was made for.
        centred: whether colours are scaled to -0.5 … 0.5 instead of 0 … 1.
        network: name of the network, for the message.

    Raises:
        GoalmazeError: the observations have another size than the network was made for.
    """
    x = observation.float()
    if shape.spec.mode in PICTURES:
        # stable-baselines3's own algorithms have transposed pictures already.
        x = (x.permute(0, 3, 1, 2) if x.shape[-1] == COLOURS else x) / 255 - MIDDLE * centred
    if tuple(x.shape[2:]) != _sides(shape):
        expected, given = ("x".join(map(str, sides)) for sides in (_sides(shape), x.shape[2:]))
        raise GoalmazeError(
            f"network {network} was made for observations of {expected}, not {given}: use the size it was made for, "
            "or train it with observation mode rgb64, which shows any size in 64x64"
        )
    return x


def border_of(shape: Shape, options: ImpalaOptions) -> int | None:
    """Return the width of the border around a level that pictures do not show, where the rest has `cells` cells a side.

    Pictures show the whole level, those of Procgen all but its closed wall. None where the level has other sides, or
    they are unknown: then no map has a square for every cell.
    """
    border, rest = divmod(shape.level - options.cells, 2)
    return border if options.cells and border in (0, 1) and not rest else None


def embedder_sites(shape: Shape, options: ImpalaOptions) -> tuple[Site, ...]:
    """Return the sites of the embedder: the parts of the three blocks, and the hidden units before and after a ReLU."""
    border = border_of(shape, options)
    parts = [
        (f"embedder.block{number}.{part}", width)
        for number, width in enumerate(_widths(options), start=1)
        for part in PARTS
    ]
    # The pooling of the second block is the first that halves the sides.
    whole = [f"embedder.block1.{part}" for part in PARTS] + ["embedder.block2.conv"] if border is not None else []
    maps = [
        Site(name, width, is_map=True, border=border or 0) if name in whole else Site(name, width, is_map=False)
        for name, width in parts
    ]
    last = [("relu", _widths(options)[-1]), ("fc", HIDDEN), ("hidden", HIDDEN)]
    return (*maps, *(Site(f"embedder.{part}", width, is_map=False) for part, width in last))


def _sides(shape: Shape) -> tuple[int, ...]:
    return shape.observation[:2] if shape.spec.mode in PICTURES else shape.observation[1:]


def _widths(options: ImpalaOptions) -> tuple[int, ...]:
    return tuple(round(width * options.scale) for width in WIDTHS)


def _resampled(maps: Tensor, side: int) -> Tensor:
    """Return weights [N, C, s, s] at side x side positions: each is spread over the area that its position has there.

    The sum over the positions stays, and with it the response to a constant map.
    """
    given = maps.shape[-1]
    edges = torch.arange(side + 1) * given
    begins = torch.arange(given + 1) * side
    # [side, s], the part of each old position that lies in each new one; both are measured in 1 / (s * side).
    overlap = torch.minimum(edges[1:, None], begins[None, 1:]) - torch.maximum(edges[:-1, None], begins[None, :-1])
    spread = overlap.clamp(min=0).to(maps) / side
    return torch.einsum("ay,ncyx,bx->ncab", spread, maps, spread)


@register_network
class ImpalaNetwork(Network):
    """The network of published Procgen agents.

    Its sites are `conv`, `maxpool`, `res1`, `res2` of each block and `embedder.relu`, maps [B, C, h, w] whose sides
    halve from block to block, and with the option `cells` those up to the pooling of the second block are maps
    [B, C, H, W] of the level; then `embedder.fc` and `embedder.hidden` [B, F], before and after the last ReLU.
    """

    name = "impala"
    Options = ImpalaOptions
    modes = (*PICTURES, *PLANES)
    variants: ClassVar = ({}, {"scale": 4}, {"stride": 2, "centred": True}, {"cells": 15, "centred": True})

    options: ImpalaOptions

    def __init__(self, shape: Shape, options: ImpalaOptions | None = None) -> None:
        super().__init__()
        self.shape = shape
        self.options = options = options or ImpalaOptions()
        self.embedder = make_embedder(shape, options)
        self.fc_policy = nn.Linear(HIDDEN, shape.actions)
        self.fc_value = nn.Linear(HIDDEN, 1)
        initialise_xavier(self, self.fc_policy, self.fc_value)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [B, A] and values [B] for pictures [B, h, w, 3], or [B, 3, h, w], or planes [B, C, H, W].

        Raises:
            GoalmazeError: the observations have another size than the network was made for.
        """
        hidden = self.embedder(scaled_observation(observation, self.shape, self.options.centred, self.name))
        return self.fc_policy(hidden), self.fc_value(hidden).squeeze(1)

    def resampled_from(self, other: Network) -> dict[str, Tensor] | None:
        """Return the weights of a network for another number of cells, resampled; None for other networks.

        Kernels of the first convolution, and the weights that read the last map, are spread over their positions; all
        others fit as they are.
        """
        if not isinstance(other, ImpalaNetwork) or not (self.options.cells and other.options.cells):
            return None
        if dataclasses.replace(other.options, cells=self.options.cells) != self.options:
            return None
        if (other.shape.spec, other.shape.actions) != (self.shape.spec, self.shape.actions):
            return None
        weights = other.state_dict()
        own, channels = self.state_dict(), _widths(self.options)[-1]
        kernels, readout = "embedder.block1.conv.conv.weight", "embedder.fc.weight"
        weights[kernels] = _resampled(weights[kernels], own[kernels].shape[-1])
        sides = [math.isqrt(one[readout].shape[1] // channels) for one in (weights, own)]
        maps = weights[readout].unflatten(1, (channels, sides[0], sides[0]))
        weights[readout] = _resampled(maps, sides[1]).flatten(1)
        return weights

    def sites(self) -> tuple[Site, ...]:
        """Return the parts of the three blocks, and the hidden units before and after their ReLU."""
        return embedder_sites(self.shape, self.options)
