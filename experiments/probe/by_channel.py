"""Which channels encode a cell: each channel of a map as a probe by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from goalmaze.agents.loading import Agent
from goalmaze.agents.sites import map_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.common.tables import Table, interval, number
from goalmaze.experiments.evaluate.fitted_results import FittedResult
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.probe.splits import Distributions, gather_splits
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.readout.channel_probes import fit_channel_probes

LISTED = 5
"""Number of channels in the table; all are in the JSON."""


@dataclasses.dataclass(frozen=True)
class ChannelResult:
    """How often each channel of a map names a cell by itself.

    Attributes:
        site: the map.
        target: the concept, a cell.
        rates: of held-out mazes, one for each channel.
        observation: the same rate of the best plane of the observation, which is selected on the fitting mazes.
    """

    site: str
    target: str
    rates: tuple[Rate, ...]
    observation: Rate

    @property
    def best(self) -> list[int]:
        """The channels, best first."""
        # `sorted` is stable, so equal rates stay in the order of the channels.
        return sorted(range(len(self.rates)), key=lambda channel: -self.rates[channel].value)

    def json(self) -> JsonObject:
        """Return the result as plain data."""
        return {
            "site": self.site,
            "target": self.target,
            "channels": [{"score": number(one.value), "score_interval": interval(one)} for one in self.rates],
            "observation": number(self.observation.value),
        }

    def row(self) -> list[object]:
        """Return the result as a row of the table."""
        best = [f"{channel}: {self.rates[channel]}" for channel in self.best[:LISTED]]
        return [self.site, f"{self.observation.value:.2f}", *best, *[""] * (LISTED - len(best))]


@dataclasses.dataclass(frozen=True)
class ChannelReport(FittedResult):
    """The channels of all maps of an agent.

    Attributes:
        distributions: the levels that were fitted on and evaluated on.
        maps: the results.
        pictures: the figures drawn.
    """

    distributions: Distributions
    maps: tuple[ChannelResult, ...]
    pictures: tuple[Path, ...] = ()

    @property
    def targets(self) -> list[str]:
        """The concepts, in order."""
        return list(dict.fromkeys(one.target for one in self.maps))

    def of_target(self, target: str) -> list[ChannelResult]:
        """Return the results of one concept, map by map."""
        return [one for one in self.maps if one.target == target]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header_json(),
            **self.distributions.json(),
            "maps": [one.json() for one in self.maps],
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading and a table for each target."""
        columns = ["site", "observation", *(f"best {place}" for place in range(1, LISTED + 1))]
        return [
            f"{self.header.agent}: rate of held-out mazes on which a channel has its maximum (or its minimum) at the "
            f"cell, {self.distributions.heading(self.header.levels, self.fit_levels)}\nin brackets 95 % intervals over "
            f"mazes; observation: its best plane\n{self.overlap.sentence}",
            *(Table(columns, [one.row() for one in self.of_target(target)], target) for target in self.targets),
            *(f"picture: {path}" for path in self.pictures),
        ]


def probe_channels(
    agent: Agent,
    targets: Sequence[str] = (),
    sites: Sequence[str] = (),
    *,
    shift: str | None = None,
    fit_shift: str | None = None,
    size: int | None = None,
    levels: int = 512,
    fit_levels: int = 2048,
    seed: int = 0,
) -> ChannelReport:
    """Evaluate every channel of the maps among `sites` as a probe of the cells among `targets`.

    Args:
        agent: the agent, loaded or made in memory.
        targets: concepts; the cells of goal and cue and the one pursued where not given.
        sites: sites of the network; all where not given.
        shift: fit on the training distribution and evaluate under this shift; as in `probe`.
        fit_shift: with `shift`, fit under this shift instead.
        size: rows and columns of the mazes, in cells; the agent's own where not given.
        levels: number of held-out evaluation levels.
        fit_levels: number of levels that select the sign of each channel.
        seed: of the levels and of the sampled actions.

    Raises:
        GoalmazeError: a site or target is unknown, no site is a map, or no target is a cell.
    """
    splits = gather_splits(
        agent,
        targets,
        sites,
        shift=shift,
        fit_shift=fit_shift,
        size=size,
        levels=levels,
        fit_levels=fit_levels,
        seed=seed,
    )
    fit, evaluation = splits.fit, splits.evaluation
    map_names = [site for site in fit.trained if site in map_sites(agent.network)]
    cells = {name: labels.values for name, labels in fit.labels.items() if labels.label_type == "cell"}
    if not map_names or not cells:
        raise GoalmazeError("channels are probes of cells at maps: choose --sites that are maps, --targets cells")
    results = []
    for target, labels in cells.items():
        truth = evaluation.labels[target].values
        best_plane = fit_channel_probes(fit.observations, labels, fit.observations, labels).best(1)[0]
        planes = fit_channel_probes(fit.observations, labels, evaluation.observations, truth)
        observation = rate(int(planes.correct[best_plane]), planes.labelled)
        for site in progress(map_names, f"probing the {target}", "map"):
            channels = fit_channel_probes(fit.trained[site], labels, evaluation.trained[site], truth)
            rates = tuple(rate(int(correct), channels.labelled) for correct in channels.correct)
            results.append(ChannelResult(site, target, rates, observation))
    family = agent.family.resized(size)
    header = ResultHeader(agent.name, family.name, family.size, levels, seed)
    overlap = quick_overlap(agent, splits.evaluation.levels)
    return ChannelReport(header, fit_levels, overlap, splits.distributions, tuple(results))
