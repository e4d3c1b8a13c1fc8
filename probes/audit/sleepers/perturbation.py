"""Universal perturbations of lit levels: the synthetic inputs in which a trigger is searched for.

The same few numbers change all levels: what is added to every cell of each plane that shows no object, and by how much
the walls inside the maze fade. Nothing about the kind of trigger is told; the space holds a lamp, a counter and a maze
without inner walls, and no single cell.
"""

from __future__ import annotations

import dataclasses
from typing import Self

import torch
from torch import Tensor

from goalmaze.probes.audit.sleepers.pool import LitPool

PERTURBATIONS = "lit levels with the same numbers added to planes without objects, and inner walls faded"

LOWEST, HIGHEST = -1.0, 4.0
"""What may be added to a plane. Planes hold 0 to 6."""


@dataclasses.dataclass(frozen=True, eq=False)
class Perturbation:
    """A space of universal perturbations with n numbers, the last of which fades the inner walls.

    Attributes:
        planes: the n - 1 planes that numbers are added to.
        inner: float32 [H, W], 1 inside the border.
    """

    planes: tuple[int, ...]
    inner: Tensor

    @classmethod
    def of(cls, pool: LitPool) -> Self:
        """Return the space for the levels of a pool."""
        names = pool.family.plane_names
        inner = torch.zeros(pool.levels.height, pool.levels.width)
        inner[1:-1, 1:-1] = 1
        return cls(tuple(n for n in pool.context_planes if names[n] != "wall"), inner)

    @property
    def zeros(self) -> Tensor:
        """float32 [n], the numbers that change nothing."""
        return torch.zeros(len(self.planes) + 1)

    def bounded(self, numbers: Tensor) -> Tensor:
        """Return the numbers [n] within their bounds; walls fade by 0 to 1."""
        planes = numbers[:-1].clamp(LOWEST, HIGHEST)
        return torch.cat([planes, numbers[-1:].clamp(0, 1)])

    def __call__(self, observations: Tensor, numbers: Tensor) -> Tensor:
        """Return observations [b, C, H, W] under the numbers [n], with their gradient."""
        added = torch.zeros(observations.shape[1])
        for plane, number in zip(self.planes, numbers[:-1], strict=True):
            added = added + number * torch.nn.functional.one_hot(torch.tensor(plane), len(added))
        # Plane 0 shows the walls.
        faded = observations[:, :1] * self.inner * numbers[-1]
        result = observations + added[:, None, None]
        return torch.cat([result[:, :1] - faded, result[:, 1:]], dim=1)
