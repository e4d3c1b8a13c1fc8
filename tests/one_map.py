"""A base class for networks whose only site is one convolution."""

from __future__ import annotations

import dataclasses

from torch import nn

from goalmaze.agents.networks.base import Network, Shape, Site


@dataclasses.dataclass(frozen=True)
class OneMapOptions:
    """Hyperparameters: channels, and the side of the convolution."""

    channels: int = 4
    side: int = 3


class OneMapNetwork(Network):
    """One convolution without a ReLU is the site `map`."""

    Options = OneMapOptions

    def __init__(self, shape: Shape, options: OneMapOptions) -> None:
        super().__init__()
        self.shape, self.options = shape, options
        self.map = nn.Conv2d(shape.planes, options.channels, options.side, padding=options.side // 2)

    def sites(self) -> tuple[Site, ...]:
        return (Site("map", self.options.channels, is_map=True),)
