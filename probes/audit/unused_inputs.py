"""Inputs that levels on which goal and cue agree never use: planes of the observation that none of them lights.

A gradient of a first-layer weight is a multiple of its input. Where the input was always 0, training without weight
decay has left the weight as the seed drew it, and an audit on such levels cannot see its effect. The auditor does not
see which levels an agent was trained on; a twin may have met others.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from goalmaze.agents.networks.base import PICTURES
from goalmaze.probes.audit.pool import AuditPool


@dataclasses.dataclass(frozen=True)
class UnusedInputs:
    """What the levels of a pool never light.

    Attributes:
        planes: names of the planes that are 0 everywhere in all levels; none for pictures, whose first layer has the
            same weights for every object.
        fraction: the part of the first layer's weights that multiply these planes.
        objects: object types that no level of the pool shows.
    """

    planes: tuple[str, ...]
    fraction: float
    objects: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The finding in words."""
        if self.planes:
            return (
                f"{self.fraction:.0%} of the first layer's input is never used on levels where goal and cue agree "
                f"(planes {', '.join(self.planes)}): unless training had other levels, its weights are still those of "
                "the seed"
            )
        if self.objects:
            return f"these levels never show {', '.join(self.objects)}; their planes or pixels are shared with others"
        return "these levels use every plane of the input"


def unused_inputs(pool: AuditPool) -> UnusedInputs:
    """Return what the levels of a pool never light."""
    family = pool.family
    present = set(pool.levels.present())
    absent = tuple(one.name for one in family.object_types if one.shows_on and one.name not in present)
    if pool.spec.mode in PICTURES:
        return UnusedInputs((), 0.0, absent)
    observations = torch.from_numpy(pool.observations())
    lit = observations.flatten(2).amax(dim=(0, 2)).numpy() > 0
    # Mode "partial" has a plane of visible squares behind those of the family.
    names = (*family.plane_names, "visible")[: len(lit)]
    planes = tuple(name for name, used in zip(names, lit, strict=True) if not used)
    return UnusedInputs(planes, float(np.mean(~lit)), absent)
