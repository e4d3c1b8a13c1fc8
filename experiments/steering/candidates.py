"""Edits that compete: what was found by which method where, on which channels, to be written how strongly."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import map_sites
from goalmaze.experiments.errands import Errand
from goalmaze.probes.combining import Found
from goalmaze.probes.directions import GoalPattern
from goalmaze.probes.edits import Edit
from goalmaze.probes.knowledge import is_fair
from goalmaze.probes.steering import any_method
from goalmaze.probes.steering.base import Workshop


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """An edit for any maze.

    Attributes:
        site: where, or from where on.
        method: by which it was found.
        found: what it writes.
        strength: how strongly.
        channels: those that are written, of a pattern; None for all.
    """

    site: str
    method: str
    found: Found
    strength: float = 1.0
    channels: tuple[int, ...] | None = None

    def edits(self, errand: Errand) -> list[Edit]:
        """Return the edits of an errand's mazes."""
        return errand.edits(self.found, self.strength)

    def json(self) -> dict[str, Any]:
        """Return what describes it as plain data."""
        return {
            "site": self.site,
            "method": self.method,
            "strength": self.strength,
            "channels": None if self.channels is None else list(self.channels),
            "knows": sorted(self.found.knows),
            "upper_bound": not is_fair(self.found.knows),
        }

    def text(self) -> str:
        """Return what describes it in a few words."""
        channels = "all channels" if self.channels is None else f"channels {', '.join(map(str, self.channels))}"
        return f"{self.method} at {self.site}, {channels}, strength {self.strength:g}"


def find_candidate(workshop: Workshop, site: str, method: str, strength: float = 1.0) -> Candidate:
    """Return what a method finds at a site.

    Raises:
        GoalmazeError: there is no such method, or no such map.
    """
    return Candidate(site, method, any_method(method).find(workshop, site), strength)


def narrowed(pattern: GoalPattern, count: int) -> tuple[GoalPattern, tuple[int, ...]]:
    """Return a pattern on the `count` channels in which it is largest, and these channels in order."""
    size = pattern.arriving.flatten(1).norm(dim=1) + pattern.leaving.flatten(1).norm(dim=1)
    kept = sorted(int(c) for c in size.topk(min(count, len(size))).indices)
    mask = torch.zeros(len(size), 1, 1)
    mask[kept] = 1
    return dataclasses.replace(pattern, arriving=pattern.arriving * mask, leaving=pattern.leaving * mask), tuple(kept)


def half_depth(network: Network) -> str:
    """Return the name of the map at half depth."""
    maps = map_sites(network)
    return maps[len(maps) // 2]
