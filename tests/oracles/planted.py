"""Agents whose goal is known because it was written into their weights: they plan a path to what they pursue."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from goalmaze.agents.networks.base import Network, NetworkOptions, Shape, Site, agent_cells
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view

DISCOUNT, ITERATIONS, SHARPNESS = 0.9, 24, 30.0

PULL = 0.05
"""How much a worth anywhere adds to the logit of each direction in which it lies, walls or not."""


@dataclasses.dataclass(frozen=True)
class PlannerOptions(NetworkOptions):
    """None."""


class PlannerNetwork(Network):
    """Value iteration: what an object is worth is one weight of a 1x1 convolution, and the policy climbs the values.

    The value at d steps from the only objects, on one cell, is `DISCOUNT` ** d times the sum of their worths. With a
    worth of the corner, the cell in the top right corner is worth something whatever stands there.
    """

    name = "planner-for-tests"
    Options = PlannerOptions

    def __init__(self, shape: Shape, options: PlannerOptions | None = None) -> None:
        super().__init__()
        self.shape, self.options = shape, options or PlannerOptions()
        self.map = nn.Conv2d(shape.planes, 1, 1)
        self.corner = nn.Parameter(torch.zeros(1))
        self.sharpness = nn.Parameter(torch.tensor([[SHARPNESS]]))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        x = observation.float()
        free = 1 - x[:, :1]
        corner = torch.zeros_like(free)
        corner[:, :, 1, -2] = 1
        source = self.map(x) + corner * self.corner
        values = source
        for _ in range(ITERATIONS):
            padded = functional.pad(values, (1, 1, 1, 1))
            around = torch.stack(
                [padded[:, :, :-2, 1:-1], padded[:, :, 1:-1, 2:], padded[:, :, 2:, 1:-1], padded[:, :, 1:-1, :-2]]
            )
            values = torch.maximum(source, DISCOUNT * around.amax(dim=0)) * free
        own, rows = agent_cells(observation), torch.arange(len(x))
        padded = functional.pad(values, (1, 1, 1, 1))
        around = torch.stack(
            [padded[:, :, :-2, 1:-1], padded[:, :, 1:-1, 2:], padded[:, :, 2:, 1:-1], padded[:, :, 1:-1, :-2]], dim=2
        )
        logits = self.sharpness * around[:, 0].flatten(2)[rows, :, own]
        return logits + PULL * _pull(source[:, 0], own), values.flatten(1)[rows, own]

    def sites(self) -> tuple[Site, ...]:
        return (Site("map", 1, is_map=True),)


def _pull(source: Tensor, own: Tensor) -> Tensor:
    """Return [B, 4], the worth [B, H, W] that lies above, to the right of, below and to the left of cells [B]."""
    height, width = source.shape[1:]
    row, column = (own // width)[:, None, None], (own % width)[:, None, None]
    rows, columns = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
    sides = torch.stack(torch.broadcast_tensors(rows < row, columns > column, rows > row, columns < column), dim=1)
    return (source[:, None] * sides).sum(dim=(2, 3))


def planner(family: Family, worth: dict[str, float], corner: float = 0.0) -> PlannerNetwork:
    """Return a planner for a family: plane → worth of an entry of 1, and the worth of the corner."""
    network = PlannerNetwork(Shape.seeing(make_view(family)))
    with torch.no_grad():
        network.map.weight.zero_()
        network.map.bias.zero_()
        network.corner.fill_(corner)
        for plane, number in worth.items():
            network.map.weight[0, family.plane_names.index(plane)] = number
    return network.eval()  # type: ignore[return-value]
