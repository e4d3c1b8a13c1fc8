"""Edits that compete: what was found by which method where, on which channels, to be written how strongly."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import torch

from goalmaze.agents.networks.base import Network
from goalmaze.agents.sites import find_site, map_sites, usual_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.edits.composition import Found
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.information import uses_only_cells
from goalmaze.probes.steering import any_method

BY_CELL = ("cell-means", "cell-table")
"""Methods tried at a site that is no map of squares where none are named."""


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

    def edits(self, task: RetargetingTask) -> list[Edit]:
        """Return the edits of an errand's mazes."""
        return task.edits(self.found, self.strength)

    def json(self) -> dict[str, Any]:
        """Return what describes it as plain data."""
        return {
            "site": self.site,
            "method": self.method,
            "strength": self.strength,
            "channels": None if self.channels is None else list(self.channels),
            "knows": sorted(self.found.uses),
            "upper_bound": not uses_only_cells(self.found.uses),
        }

    def text(self) -> str:
        """Return what describes it in a few words."""
        channels = "all channels" if self.channels is None else f"channels {', '.join(map(str, self.channels))}"
        return f"{self.method} at {self.site}, {channels}, strength {self.strength:g}"


def find_candidate(context: FitContext, site: str, method: str, strength: float = 1.0) -> Candidate:
    """Return what a method finds at a site.

    Raises:
        GoalmazeError: there is no such method, or no such site, or it needs a map and the site is none.
    """
    suited(context.policy.network, [site], [method])
    return Candidate(site, method, any_method(method).find(context, site), strength)


def narrowed(pattern: GoalPattern, count: int) -> tuple[GoalPattern, tuple[int, ...]]:
    """Return a pattern on the `count` channels in which it is largest, and these channels in order."""
    size = pattern.arriving.flatten(1).norm(dim=1) + pattern.leaving.flatten(1).norm(dim=1)
    kept = sorted(int(c) for c in size.topk(min(count, len(size))).indices)
    mask = torch.zeros(len(size), 1, 1)
    mask[kept] = 1
    return dataclasses.replace(pattern, arriving=pattern.arriving * mask, leaving=pattern.leaving * mask), tuple(kept)


def suited(
    network: Network,
    sites: Sequence[str] = (),
    methods: Sequence[str] = (),
    usual: Sequence[str] = (),
    everywhere: bool = False,
) -> list[tuple[str, str]]:
    """Return the pairs of site and method to try, site by site; only those that go together.

    Args:
        network: whose sites.
        sites: those to try; the maps where not given, or all where there are none.
        methods: those to try; where not given, `usual` at maps of squares and those by cell elsewhere.
        usual: methods for maps.
        everywhere: try all sites where none are given, maps or not.

    Raises:
        GoalmazeError: there is no such site or method, or one of those named goes together with none of the others.
    """
    for site in sites:
        find_site(network, site)
    named, maps = [any_method(name) for name in methods], map_sites(network)
    places = sites or ([site.name for site in network.sites()] if everywhere else usual_sites(network))
    pairs = []
    for site in places:
        tried = named or [any_method(name) for name in (usual if site in maps else BY_CELL)]
        pairs += [(site, method.name) for method in tried if method.suits(network, site)]
    _check_all_used(pairs, sites, methods, maps)
    return pairs


def _check_all_used(
    pairs: Sequence[tuple[str, str]], sites: Sequence[str], methods: Sequence[str], maps: Sequence[str]
) -> None:
    remedy = f"choose {' or '.join(BY_CELL)}"
    for site in sites:
        if site not in {one for one, _ in pairs}:
            raise GoalmazeError(
                f"site '{site}' is not a map of squares, without which {', '.join(methods)} cannot be tried; {remedy}"
                + (f", or a map, such as {maps[0]}" if maps else "")
            )
    for name in methods:
        if name not in {one for _, one in pairs}:
            raise GoalmazeError(f"method '{name}' writes maps of squares, and none of the sites is one; {remedy}")


def half_depth(network: Network) -> str:
    """Return the name of the map at half depth, or of the site where there are no maps."""
    sites = usual_sites(network)
    return sites[len(sites) // 2]
