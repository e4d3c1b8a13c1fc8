"""What probes are fitted to and evaluated on: activations of levels, and the labels of concepts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.activations import Activations, read_activations
from goalmaze.probes.labels import Labels, label_concepts


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
