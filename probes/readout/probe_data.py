"""What probes are fitted to and evaluated on: activations of levels, and the labels of concepts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.levels import FITTING, NO_SHIFT, Family, LevelBatch
from goalmaze.probes.activations import Activations, read_activations
from goalmaze.probes.labels import Labels, label_concepts

LEVELS_CHECKED = 256
"""Levels of the training distribution in which goal and cue are compared."""


def separating_shift(family: Family) -> str:
    """Return the name of a distribution, as `Family.levels` takes it, on which probes can distinguish goal and cue.

    It is the training distribution where that has goal and cue on different cells in every level, so that probes see
    every state that the agent was trained in, such as both states of a lamp. Otherwise it is the distinguishing shift.
    """
    levels = family.levels(0, np.arange(LEVELS_CHECKED), NO_SHIFT, FITTING)
    goals, cues = levels.cells(family.goal), levels.cells(family.cue)
    separate = (goals != ABSENT) & (cues != ABSENT) & (goals != cues)
    return NO_SHIFT if separate.all() else family.distinguishing_shift


@dataclasses.dataclass(frozen=True, eq=False)
class ProbeData:
    """Levels with activations and labels, to fit probes to or to evaluate them on.

    Attributes:
        levels: B levels.
        observations: float32 [B, ...], the agent's observations before the first step.
        trained: the activations of the trained network there, by site.
        untrained: the activations of the same network with random weights, by site.
        labels: by concept.
    """

    levels: LevelBatch
    observations: Tensor
    trained: Activations
    untrained: Activations
    labels: dict[str, Labels]


def gather_probe_data(
    policy: NetworkPolicy, levels: LevelBatch, sites: Sequence[str], concepts: Sequence[str], seed: int
) -> ProbeData:
    """Return an agent's activations on levels, and the labels of concepts.

    Args:
        policy: the agent's policy.
        levels: B levels.
        sites: where to read activations.
        concepts: some of `concept_names`.
        seed: of the untrained network, the rollout and the random targets.

    Raises:
        GoalmazeError: a site or a concept is unknown.
    """
    observations = observations_of(policy, levels).copy()
    return ProbeData(
        levels,
        torch.from_numpy(observations).float(),
        read_activations(policy.network, observations, sites),
        read_activations(policy.network.untrained(seed), observations, sites),
        label_concepts(concepts, policy, levels, seed),
    )
