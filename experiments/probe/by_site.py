"""What can be read from an agent's activations, and does it move the agent when written?"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from tqdm import tqdm

from goalmaze.agents.loading import Agent
from goalmaze.agents.sites import find_site, map_sites
from goalmaze.envs.errors import unknown
from goalmaze.envs.levels import EVALUATION, FITTING
from goalmaze.experiments.common.parallel import side_by_side
from goalmaze.experiments.common.tables import number, table
from goalmaze.experiments.probe.config import ProbeConfig
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.probes.labels import concept_names
from goalmaze.probes.readout.baselines import Score
from goalmaze.probes.readout.fitting import SquareProbe
from goalmaze.probes.readout.reading import Atlas, Look, ProbeData, Reading, gather_material, suited_look
from goalmaze.probes.steering.probe_direction import direction_pattern
from goalmaze.probes.targets import target_names

ALL = "all"
"""As the one target: every concept there is."""

HEADERS = (
    "site",
    "probe",
    "read",
    "observation",
    "untrained",
    "shuffled",
    "majority",
    "selectivity",
    "p",
    "",
    "steers (unedited)",
)
LEGEND = (
    "observation, untrained, shuffled, majority: what the same probe reads without the trained network\n"
    "selectivity: the score less that of the same probe on a control task, which can only be memorised\n"
    "p: of the score, against readings dealt out to other mazes\n"
    "evidence: the reading's 95 % interval (over mazes) lies above those of the four baselines, and p is 0.05 at most\n"
    "steers: how often writing the probe's direction at a random cell brings the agent there before the goal"
)


@dataclasses.dataclass(frozen=True)
class TestedReading:
    """A reading beside the steering that tests it.

    Attributes:
        reading: how well a target is read at a site, and what that must beat.
        steered: share of mazes on which writing the probe's direction brings the agent to an arbitrary cell before the
            goal; None where the probe has no direction to write, or reads no cell that the agent could be after.
        unsteered: the same share without writing.
    """

    reading: Reading
    steered: Rate | None
    unsteered: Rate

    def json(self) -> dict[str, Any]:
        """Return the reading as plain data."""
        one = self.reading
        return {
            "site": one.site,
            "target": one.concept,
            "probe": one.look,
            "measure": one.measure,
            "score": number(one.score.value),
            "score_interval": {"low": number(one.score.low), "high": number(one.score.high)},
            "baselines": {name: number(score.value) for name, score in baselines(one).items()},
            "control_task": number(one.control.value),
            "selectivity": number(one.selectivity),
            "p": number(one.p),
            "evidence": one.is_evidence,
            "steering": {
                "target": None if self.steered is None else number(self.steered.value),
                "unedited": number(self.unsteered.value),
            },
        }

    def row(self) -> list[object]:
        """Return the reading as a row of the table."""
        one = self.reading
        return [
            one.site,
            one.look,
            f"{one.score.value:.2f} [{one.score.low:.2f}, {one.score.high:.2f}]",
            *(f"{score.value:.2f}" for score in baselines(one).values()),
            f"{one.selectivity:.2f}",
            f"{one.p:.3f}",
            "evidence" if one.is_evidence else "not evidence",
            "-" if self.steered is None else f"{self.steered.value:.2f} ({self.unsteered.value:.2f})",
        ]


def baselines(reading: Reading) -> dict[str, Score]:
    """Return by name what a reading must beat."""
    return {name: getattr(reading, name) for name in ("observation", "untrained", "shuffled", "majority")}


@dataclasses.dataclass(frozen=True)
class ProbeReport:
    """All readings of one agent."""

    agent: str
    family: str
    size: int
    levels: int
    fit_levels: int
    seed: int
    readings: tuple[TestedReading, ...]

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
            f"{self.agent} on {self.family} {self.size}x{self.size}: judged on {self.levels} mazes, fitted on "
            f"{self.fit_levels} others, goal and cue apart"
        ]
        for target in dict.fromkeys(one.reading.concept for one in self.readings):
            rows = [one for one in self.readings if one.reading.concept == target]
            parts.append(f"{target}: {rows[0].reading.measure}\n{table(HEADERS, [one.row() for one in rows])}")
        parts.append(LEGEND)
        return "\n\n".join(parts)


def read_agent(agent: Agent, config: ProbeConfig) -> ProbeReport:
    """Fit and judge a probe for every site and target.

    Raises:
        GoalmazeError: no such site or target.
    """
    fit, test = materials(agent, config)
    family = agent.family.resized(config.size)
    task = draw_retargeting_task(family, config.levels, config.seed)
    unsteered = task.evaluate(agent.policy).overall.other
    atlas, readings = Atlas(fit, test, config.seed), []
    sites = list(fit.trained)
    found = side_by_side(lambda site: _readings_at(site, agent, config.probe, fit, atlas), sites)
    for at_site in tqdm(found, total=len(sites), desc="probing", unit="site", leave=False, disable=None):
        for one in at_site:
            steered = _steered(agent, one, fit, task) if one.concept in target_names(family) else None
            readings.append(TestedReading(one, steered, unsteered))
    return ProbeReport(
        agent.name, family.name, family.size, config.levels, config.fit_levels, config.seed, tuple(readings)
    )


def materials(agent: Agent, config: ProbeConfig) -> tuple[ProbeData, ProbeData]:
    """Return what to fit on and what to judge by, of the sites and targets asked for.

    Raises:
        GoalmazeError: no such site or target.
    """
    family = agent.family.resized(config.size)
    sites = list(config.sites) or [site.name for site in agent.network.sites()]
    targets = list(config.targets) or target_names(family)
    targets = concept_names(family) if targets == [ALL] else targets
    for site in sites:
        find_site(agent.network, site)
    for target in targets:
        if target not in concept_names(family):
            raise unknown("probe target", target, [*concept_names(family), ALL])
    fit, test = (
        gather_material(agent.policy, levels, sites, targets, config.seed)
        for levels in (
            family.levels(config.seed, np.arange(count), family.distinguishing_shift, split)
            for split, count in ((FITTING, config.fit_levels), (EVALUATION, config.levels))
        )
    )
    return fit, test


def _readings_at(site: str, agent: Agent, wanted: Look, fit: ProbeData, atlas: Atlas) -> list[Reading]:
    """Return the readings of all that can be read at a site, in the look nearest to the one wanted."""
    is_map = site in map_sites(agent.network)
    looks: dict[Look, list[str]] = {}
    for concept, labels in fit.labels.items():
        look = suited_look(labels.kind, wanted, is_map=is_map)
        if look is not None:
            looks.setdefault(look, []).append(concept)
    return [one for look, concepts in looks.items() for one in atlas.read(site, concepts, look)]


def _steered(agent: Agent, reading: Reading, fit: ProbeData, task: RetargetingTask) -> Rate | None:
    """Return how often the agent goes where a probe's direction is written; None where it has none."""
    if not isinstance(reading.probe, SquareProbe):
        return None
    maps, labels = fit.trained[reading.site], fit.labels[reading.concept].values
    kept = labels >= 0
    pattern = direction_pattern(reading.site, reading.probe.direction, maps[kept], labels[kept])
    return task.evaluate(agent.policy, task.edits(pattern)).overall.other
