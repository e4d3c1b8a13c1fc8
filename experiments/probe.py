"""What can be read from an agent's activations, and does it move the agent when written?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.rollout import observations_of
from goalmaze.agents.sites import find_site, map_sites
from goalmaze.envs.errors import unknown
from goalmaze.envs.families.base import EVALUATION, FITTING, Family
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.configs import ProbeConfig
from goalmaze.experiments.errands import Errand, draw_errand
from goalmaze.experiments.report import interval, number, table
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.activations import Activations, read_activations
from goalmaze.probes.baselines import majority_score, shuffled_score
from goalmaze.probes.fitting import SquareProbe, accuracy, make_fitter
from goalmaze.probes.steering.probe_direction import direction_pattern
from goalmaze.probes.targets import label_cells, target_names


@dataclasses.dataclass(frozen=True)
class Reading:
    """How well one target is read at one site, what that must beat, and what writing it does.

    Attributes:
        site: where.
        target: what is read: a cell.
        probe: "square" or "global".
        score: share of held-out mazes read right.
        observation: the same probe on the observation alone.
        untrained: the same probe on the same network before training.
        shuffled: the same probe fitted on labels of other mazes, and judged by labels of others.
        majority: the most common label, always.
        steered: share of mazes on which writing the probe's direction brings the agent to an arbitrary target before
            the goal; None where the probe has no direction to write.
        unsteered: the same share without writing.
    """

    site: str
    target: str
    probe: str
    score: Rate
    observation: Rate
    untrained: Rate
    shuffled: Rate
    majority: Rate
    steered: Rate | None
    unsteered: Rate

    @property
    def is_evidence(self) -> bool:
        """Whether the score's interval lies above the interval of every baseline."""
        baselines = (self.observation, self.untrained, self.shuffled, self.majority)
        return self.score.low > max(baseline.high for baseline in baselines)

    def json(self) -> dict[str, Any]:
        """Return the reading as plain data."""
        return {
            "site": self.site,
            "target": self.target,
            "probe": self.probe,
            "score": number(self.score.value),
            "score_interval": interval(self.score),
            "baselines": {
                "observation": number(self.observation.value),
                "untrained": number(self.untrained.value),
                "shuffled": number(self.shuffled.value),
                "majority": number(self.majority.value),
            },
            "evidence": self.is_evidence,
            "steering": {
                "target": None if self.steered is None else number(self.steered.value),
                "unedited": number(self.unsteered.value),
            },
        }


@dataclasses.dataclass(frozen=True)
class ProbeReport:
    """All readings of one agent."""

    agent: str
    family: str
    size: int
    levels: int
    fit_levels: int
    seed: int
    readings: tuple[Reading, ...]

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "agent": self.agent,
            "family": self.family,
            "size": self.size,
            "levels": self.levels,
            "fit_levels": self.fit_levels,
            "seed": self.seed,
            "sites": [reading.json() for reading in self.readings],
        }

    def text(self) -> str:
        """Return a table for each target."""
        parts = [
            f"{self.agent} on {self.family} {self.size}x{self.size}: share of cells read right on {self.levels} mazes, "
            f"fitted on {self.fit_levels} others"
        ]
        for target in dict.fromkeys(reading.target for reading in self.readings):
            rows = [
                [
                    one.site,
                    one.probe,
                    one.score,
                    f"{one.observation.value:.2f}",
                    f"{one.untrained.value:.2f}",
                    f"{one.shuffled.value:.2f}",
                    f"{one.majority.value:.2f}",
                    "evidence" if one.is_evidence else "not evidence",
                    "-" if one.steered is None else f"{one.steered.value:.2f} ({one.unsteered.value:.2f})",
                ]
                for one in self.readings
                if one.target == target
            ]
            headers = [
                "site",
                "probe",
                "read",
                "observation",
                "untrained",
                "shuffled",
                "majority",
                "",
                "steers (unedited)",
            ]
            parts.append(f"target: cell of {target}\n{table(headers, rows)}")
        parts.append(
            "observation, untrained, shuffled, majority: what the same probe reads without the trained network\n"
            "evidence: the reading's 95 % interval (over mazes) lies above all of them\n"
            "steers: how often writing the probe's direction at a random cell brings the agent there before the goal"
        )
        return "\n\n".join(parts)


@dataclasses.dataclass(frozen=True)
class _Mazes:
    """Levels with goal and cue apart, and what is known of them."""

    levels: LevelBatch
    observations: Tensor
    trained: Activations
    untrained: Activations
    labels: dict[str, Tensor]


def run(config: ProbeConfig) -> ProbeReport:
    """Fit and judge a probe for every site and target.

    Raises:
        GoalmazeError: no such agent, site or target.
    """
    agent = load_agent(config.agent)
    family = agent.family.resized(config.size)
    sites = list(config.sites) or [site.name for site in agent.network.sites()]
    targets = list(config.targets) or target_names(family)
    for site in sites:
        find_site(agent.network, site)
    for target in targets:
        if target not in target_names(family):
            raise unknown("probe target", target, target_names(family))
    fit = _study(agent, family, sites, targets, FITTING, config.fit_levels, config.seed)
    test = _study(agent, family, sites, targets, EVALUATION, config.levels, config.seed)
    errand = draw_errand(family, config.levels, config.seed)
    unsteered = errand.run(agent.policy).everywhere.other
    readings: list[Reading] = []
    for site in tqdm(sites, desc="probing", unit="site", disable=None):
        readings += _read_site(agent, site, config.probe, fit, test, errand, unsteered)
    return ProbeReport(
        config.agent, family.name, family.size, config.levels, config.fit_levels, config.seed, tuple(readings)
    )


def _study(
    agent: Agent, family: Family, sites: list[str], targets: list[str], split: str, count: int, seed: int
) -> _Mazes:
    levels = family.levels(seed, np.arange(count), family.parting_shift, split)
    observations = observations_of(agent.policy, family, levels)
    torch.manual_seed(seed)
    fresh = make_network(agent.network.name, agent.network.shape, dataclasses.asdict(agent.network.options)).eval()
    return _Mazes(
        levels,
        torch.from_numpy(observations).float(),
        read_activations(agent.network, observations, sites),
        read_activations(fresh, observations, sites),
        {t: torch.tensor(label_cells(t, agent.policy, levels, family, seed), dtype=torch.long) for t in targets},
    )


def _read_site(
    agent: Agent, site: str, kind: str, fit: _Mazes, test: _Mazes, errand: Errand, unsteered: Rate
) -> list[Reading]:
    """Return a reading of every target at one site."""
    cells = fit.levels.height * fit.levels.width
    kind = kind if site in map_sites(agent.network) else "global"
    on_site = make_fitter(kind, fit.trained[site], cells)
    on_untrained = make_fitter(kind, fit.untrained[site], cells)
    on_observation = make_fitter(kind if agent.network.shape.mode == "planes" else "global", fit.observations, cells)
    readings = []
    for target, labels in fit.labels.items():
        truth = test.labels[target]
        probe = on_site.fit(labels)
        steered = None
        if isinstance(probe, SquareProbe):
            kept = labels >= 0
            pattern = direction_pattern(site, probe.direction, fit.trained[site][kept], labels[kept])
            steered = errand.run(agent.policy, [errand.edit(pattern)]).everywhere.other
        readings.append(
            Reading(
                site,
                target,
                kind,
                score=rate(*accuracy(probe, test.trained[site], truth)),
                observation=rate(*accuracy(on_observation.fit(labels), test.observations, truth)),
                untrained=rate(*accuracy(on_untrained.fit(labels), test.untrained[site], truth)),
                shuffled=rate(*shuffled_score(on_site, labels, test.trained[site], truth, errand.seed)),
                majority=rate(*majority_score(labels, truth)),
                steered=steered,
                unsteered=unsteered,
            )
        )
    return readings
