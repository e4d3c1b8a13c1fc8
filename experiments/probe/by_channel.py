"""Which channels carry a cell: each channel of a map as a probe by itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from goalmaze.agents.loading import Agent
from goalmaze.agents.sites import map_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.tables import interval, number, table
from goalmaze.experiments.probe.by_site import materials
from goalmaze.experiments.probe.config import ProbeConfig
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.readout.channel_probes import channel_carriers

SHOWN = 5
"""Channels in the table; all are in the JSON."""


@dataclasses.dataclass(frozen=True)
class ChannelReading:
    """How often each channel of a map names a cell by itself.

    Attributes:
        site: the map.
        target: the cell.
        shares: of held-out mazes, one a channel.
        observation: the same of the observation's best plane, chosen on the mazes to fit on.
    """

    site: str
    target: str
    shares: tuple[Rate, ...]
    observation: Rate

    @property
    def best(self) -> list[int]:
        """The channels, best first."""
        return sorted(range(len(self.shares)), key=lambda channel: -self.shares[channel].value)

    def json(self) -> dict[str, Any]:
        """Return the reading as plain data."""
        return {
            "site": self.site,
            "target": self.target,
            "channels": [{"score": number(one.value), "score_interval": interval(one)} for one in self.shares],
            "observation": number(self.observation.value),
        }


@dataclasses.dataclass(frozen=True)
class ChannelReport:
    """Every channel of every map of an agent."""

    agent: str
    levels: int
    fit_levels: int
    readings: tuple[ChannelReading, ...]
    pictures: tuple[Path, ...] = ()

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        sizes = {"agent": self.agent, "levels": self.levels, "fit_levels": self.fit_levels}
        pictures = [str(path) for path in self.pictures]
        return {**sizes, "maps": [one.json() for one in self.readings], "pictures": pictures}

    def text(self) -> str:
        """Return a table for each target."""
        parts = [
            f"{self.agent}: how often a channel by itself names the cell (its highest or its lowest square does), on "
            f"{self.levels} mazes\nin brackets 95 % intervals over mazes; observation: its best plane by itself"
        ]
        for target in dict.fromkeys(one.target for one in self.readings):
            rows = [
                [one.site, f"{one.observation.value:.2f}", *(f"{c}: {one.shares[c]}" for c in one.best[:SHOWN])]
                for one in self.readings
                if one.target == target
            ]
            headers = ["site", "observation", *(["best channels"] + [""] * SHOWN)[: len(rows[0]) - 2]]
            parts.append(f"{target}\n{table(headers, rows)}")
        return "\n\n".join([*parts, *(f"picture: {path}" for path in self.pictures)])


def read_channels(agent: Agent, config: ProbeConfig) -> ChannelReport:
    """Judge every channel of the maps asked for as a probe of the cells asked for.

    Raises:
        GoalmazeError: no such site or target, none of the sites is a map, or none of the targets a cell.
    """
    fit, test = materials(agent, config)
    sites = [site for site in fit.trained if site in map_sites(agent.network)]
    cells = {name: labels.values for name, labels in fit.labels.items() if labels.kind == "cell"}
    if not sites or not cells:
        raise GoalmazeError("channels are read at maps and name cells: choose --sites that are maps, --targets cells")
    readings = []
    for target, labels in cells.items():
        truth = test.labels[target].values
        plain = channel_carriers(fit.observations, labels, fit.observations, labels).best(1)[0]
        seen = channel_carriers(fit.observations, labels, test.observations, truth)
        for site in sites:
            found = channel_carriers(fit.trained[site], labels, test.trained[site], truth)
            shares = tuple(rate(int(hits), found.of) for hits in found.hits)
            readings.append(ChannelReading(site, target, shares, rate(int(seen.hits[plain]), seen.of)))
    report = ChannelReport(agent.name, config.levels, config.fit_levels, tuple(readings))
    if config.figures is None:
        return report
    from goalmaze.experiments.probe.by_channel_figures import draw_channels

    return dataclasses.replace(report, pictures=tuple(draw_channels(report, config.figures)))
