"""Candidates: fitted edits with the site, method, channels and strength they are compared under."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import torch

from goalmaze.agents.networks.base import Network
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.sites import find_site, is_map_site, map_sites, usual_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Edit
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.patterns import GoalPattern, middle
from goalmaze.probes.information import uses_only_cells
from goalmaze.probes.steering import find_method, fit_method

CELL_METHODS = ("cell-means", "cell-table")
"""Methods for sites without squares, tried there where no methods are named."""


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A fitted edit under the name it is listed with.

    Attributes:
        site: the site, or the first of several.
        method: the method it was fitted by, or a name of the user's own.
        fitted_edit: what makes the edits of any maze.
        strength: factor on every edit.
        channels: the channels a pattern is restricted to; None for all.
        context: what the method was fitted with; None for a fitted edit that was given.
    """

    site: str
    method: str
    fitted_edit: FittedEdit
    strength: float = 1.0
    channels: tuple[int, ...] | None = None
    context: FitContext | None = None

    @property
    def is_oracle(self) -> bool:
        """Whether its edits use more than two cells a maze."""
        return not uses_only_cells(self.fitted_edit.uses)

    def edits(self, task: RetargetingTask) -> list[Edit]:
        """Return the edits, one a site, for the mazes of a task."""
        return task.edits(self.fitted_edit, self.strength)

    def noise_edits(self, task: RetargetingTask) -> list[Edit]:
        """Return noise of the norm of these edits."""
        return task.noise_edits(self.fitted_edit, self.strength)

    def mismatched_edits(self, task: RetargetingTask) -> list[Edit]:
        """Return for each maze the edits of the next one."""
        return task.mismatched_edits(self.fitted_edit, self.strength)

    def permuted_edits(self, task: RetargetingTask) -> list[Edit]:
        """Return the change of these edits, of the same norm, with its channels exchanged."""
        return task.permuted_edits(self.fitted_edit, self.strength)

    def refitted(self, policy: NetworkPolicy) -> Candidate | None:
        """Return the same method fitted anew to another policy on the same mazes; None for an edit that was given."""
        if self.context is None:
            return None
        context = dataclasses.replace(self.context, policy=policy)
        fitted = fit_candidate(context, self.site, self.method, self.strength)
        return fitted if self.channels is None else with_largest_channels(fitted, len(self.channels))

    def json(self) -> JsonObject:
        """Return its description as plain data."""
        return {
            "site": self.site,
            "method": self.method,
            "strength": self.strength,
            "channels": None if self.channels is None else list(self.channels),
            "uses": sorted(self.fitted_edit.uses),
            "oracle": self.is_oracle,
        }

    def text(self) -> str:
        """Return its description in a few words."""
        channels = "all channels" if self.channels is None else f"channels {', '.join(map(str, self.channels))}"
        return f"{self.method} at {self.site}, {channels}, strength {self.strength:g}"


Edits = Candidate | FittedEdit | str
"""An edit to evaluate: a candidate, a fitted edit, or the name of a method that is to be fitted."""


def fit_candidate(context: FitContext, site: str, method: str, strength: float = 1.0) -> Candidate:
    """Fit a method at a site.

    Raises:
        GoalmazeError: there is no such method or site, or the method needs a map of squares and the site is none.
    """
    compatible_pairs(context.policy.network, [site], [method])
    return Candidate(site, method, fit_method(find_method(method), context, site), strength, context=context)


def named_candidates(
    edits: Iterable[Candidate | FittedEdit], strength: float = 1.0, reserved: Iterable[tuple[str, str]] = ()
) -> list[Candidate]:
    """Return candidates as they are, and fitted edits under the names of the methods that fitted them.

    A fitted edit made by hand has no method and gets the name of its class. A name that occurs twice at one site, or is
    among the `reserved` pairs of site and method, gets a number.
    """
    candidates: list[Candidate] = []
    # Methods named in the call keep their own names, so given edits of the same name are numbered.
    used = set(reserved)
    for edit in edits:
        if isinstance(edit, Candidate):
            one = edit
        else:
            one = Candidate(edit.site, edit.method or type(edit).__name__, edit, strength)
        name, number = one.method, 1
        while (one.site, name) in used:
            number += 1
            name = f"{one.method}-{number}"
        used.add((one.site, name))
        candidates.append(dataclasses.replace(one, method=name))
    return candidates


def with_largest_channels(candidate: Candidate, count: int) -> Candidate:
    """Return a candidate whose pattern is restricted to the `count` channels in which its norm is largest.

    Raises:
        GoalmazeError: it is no pattern.
    """
    pattern = _pattern(candidate, "channels")
    # Both patterns count: a channel may matter only where the goal is removed.
    norm = pattern.at_target.flatten(1).norm(dim=1) + pattern.at_goal.flatten(1).norm(dim=1)
    # In ascending order, so that equal choices are listed equally.
    kept = sorted(int(c) for c in norm.topk(min(count, len(norm))).indices)
    mask = torch.zeros(len(norm), 1, 1)
    mask[kept] = 1
    narrow = dataclasses.replace(pattern, at_target=pattern.at_target * mask, at_goal=pattern.at_goal * mask)
    return dataclasses.replace(candidate, fitted_edit=narrow, channels=tuple(kept))


def with_footprint(candidate: Candidate, side: int) -> Candidate:
    """Return a candidate whose pattern is restricted to side x side squares around target and goal.

    Raises:
        GoalmazeError: it is no pattern.
    """
    pattern = _pattern(candidate, "footprint")
    narrow = dataclasses.replace(
        pattern, at_target=middle(pattern.at_target, side), at_goal=middle(pattern.at_goal, side)
    )
    return dataclasses.replace(candidate, fitted_edit=narrow)


def _pattern(candidate: Candidate, part: str) -> GoalPattern:
    if not isinstance(candidate.fitted_edit, GoalPattern):
        raise GoalmazeError(f"{candidate.text()} has no pattern whose {part} could be chosen")
    return candidate.fitted_edit


def compatible_pairs(
    network: Network,
    sites: Sequence[str] = (),
    methods: Sequence[str] = (),
    usual: Sequence[str] = (),
    every_site: bool = False,
) -> list[tuple[str, str]]:
    """Return the pairs of site and method to try, site by site, without those that do not go together.

    Args:
        network: the network that has the sites.
        sites: those to try; where not given, all maps of squares, or all sites where there are no maps.
        methods: those to try; where not given, `usual` at maps of squares and `CELL_METHODS` elsewhere.
        usual: methods for maps.
        every_site: try all sites where none are given, not only maps.

    Raises:
        GoalmazeError: there is no such site or method, or one of those named goes together with none of the others.
    """
    for site in sites:
        find_site(network, site)
    named, maps = [find_method(name) for name in methods], map_sites(network)
    tried = sites or ([site.name for site in network.sites()] if every_site else usual_sites(network))
    pairs = []
    for site in tried:
        # Usual methods are chosen site by site, because a pattern needs a map and a table does not.
        here = named or [find_method(name) for name in (usual if is_map_site(network, site) else CELL_METHODS)]
        pairs += [(site, method.name) for method in here if method.suits(network, site)]
    _check_all_used(pairs, sites, methods, maps)
    return pairs


def _check_all_used(
    pairs: Sequence[tuple[str, str]], sites: Sequence[str], methods: Sequence[str], maps: Sequence[str]
) -> None:
    remedy = f"choose {' or '.join(CELL_METHODS)}"
    for site in sites:
        if site not in {one for one, _ in pairs}:
            raise GoalmazeError(
                f"site '{site}' is not a map of squares, which {', '.join(methods)} needs; {remedy}"
                + (f", or a map, such as {maps[0]}" if maps else "")
            )
    for name in methods:
        if name not in {one for _, one in pairs}:
            raise GoalmazeError(f"method '{name}' writes maps of squares, and none of the sites is one; {remedy}")


def half_depth(network: Network) -> str:
    """Return the name of the map at half depth, or of the site where there are no maps."""
    sites = usual_sites(network)
    return sites[len(sites) // 2]
