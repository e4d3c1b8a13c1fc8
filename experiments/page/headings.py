"""Probes for the cell that an agent is heading to, with the scores that say what a reading is worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import scipy
import torch
from torch import Tensor

from goalmaze.agents.loading import Agent
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import FITTING, Family
from goalmaze.probes.activations import level_activations
from goalmaze.probes.labels import label_concepts
from goalmaze.probes.readout.fitting import SquareFitter, SquareProbe
from goalmaze.probes.readout.probe_data import separating_shift
from goalmaze.probes.targets import PURSUED

READING_LEVELS = 128
"""Fitting mazes of the probe that reads where an agent is heading; as many others score it."""

MAX_P = 0.05
"""A reading is above its baseline where the test's p is at most this."""


@dataclasses.dataclass(frozen=True, eq=False)
class HeadingProbe:
    """A probe for the cell an agent is heading to, with the scores that say what its readings are worth.

    Attributes:
        probe: the probe of a map.
        mazes: number of other mazes that it was scored on.
        accuracy: fraction of them on which it names the cell.
        baseline: the same fraction of the same probe on the observation; None where that is no map of cells.
        p: of an accuracy as far above the baseline by chance alone (exact McNemar test); 1 without a baseline.
    """

    probe: SquareProbe
    mazes: int
    accuracy: float
    baseline: float | None
    p: float

    @classmethod
    def scored(cls, probe: SquareProbe, right: Tensor, baseline: Tensor | None) -> HeadingProbe:
        """Return a probe with its scores.

        Args:
            probe: the probe.
            right: bool [N], whether it names the cell in each maze.
            baseline: bool [N], the same of the baseline.
        """
        if baseline is None:
            return cls(probe, len(right), float(right.float().mean()), None, 1.0)
        better, worse = int((right & ~baseline).sum()), int((~right & baseline).sum())
        p = (
            float(scipy.stats.binomtest(better, better + worse, alternative="greater").pvalue)
            if better + worse
            else 1.0
        )
        return cls(probe, len(right), float(right.float().mean()), float(baseline.float().mean()), p)

    def json(self) -> JsonObject:
        """Return the scores as plain data."""
        baseline = None if self.baseline is None else round(self.baseline, 2)
        return {"mazes": self.mazes, "accuracy": round(self.accuracy, 2), "baseline": baseline, "above": self.above}

    @property
    def above(self) -> bool:
        """Whether it reads more than the observation shows; its readings are evidence only then."""
        return self.baseline is not None and self.p <= MAX_P


def fit_heading_probe(agent: Agent, family: Family, site: str, seed: int = 0) -> HeadingProbe | None:
    """Return the probe of one site; see `fit_heading_probes`. None where there is none."""
    return fit_heading_probes(agent, family, [site], seed).get(site)


def fit_heading_probes(agent: Agent, family: Family, sites: Sequence[str], seed: int = 0) -> dict[str, HeadingProbe]:
    """Return site → a probe for the cell an agent is heading to, read square by square from a map, with its scores.

    It is fitted where goal and cue are on different cells (see `separating_shift`), and on mazes that the page
    never shows. There are none where the agent reaches goal or cue on too few mazes.
    """
    levels = family.levels(seed, np.arange(2 * READING_LEVELS), separating_shift(family), FITTING)
    labels = label_concepts([PURSUED], agent.policy, levels, seed)[PURSUED].values
    fitting, other = slice(READING_LEVELS), slice(READING_LEVELS, None)
    if (labels[fitting] >= 0).sum() < 1 or (labels[other] >= 0).sum() < 1:
        return {}
    baseline = None
    observations = torch.from_numpy(observations_of(agent.policy, levels)).float()
    # Observations that are no maps of cells have no square for each cell, and so no probe of this kind.
    if observations.ndim == 4 and observations.shape[2:] == levels.walls.shape[1:]:
        observation_probe = SquareFitter(observations[fitting]).fit(labels[fitting])
        baseline = _right(observation_probe, observations[other], labels[other])
    probes = {}
    for site in sites:
        maps = level_activations(agent.policy, levels, site)
        probe = SquareFitter(maps[fitting]).fit(labels[fitting])
        probes[site] = HeadingProbe.scored(probe, _right(probe, maps[other], labels[other]), baseline)
    return probes


def _right(probe: SquareProbe, maps: Tensor, labels: Tensor) -> Tensor:
    """Return bool [N], for each maze with a label whether a probe names its cell."""
    kept = labels >= 0
    return probe(maps[kept]) == labels[kept]
