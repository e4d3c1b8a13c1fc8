"""Channels, edges and whole sites replaced by their simulation, on every state of a few mazes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.agents.sites import is_memory_site
from goalmaze.envs.levels import EVALUATION
from goalmaze.experiments.common.progress import progress
from goalmaze.probes.activations import read_activations
from goalmaze.probes.units.channels import Channels, columns_for, read_channels
from goalmaze.probes.units.circuit import Edge, edges, test_set, tested
from goalmaze.probes.units.formula import Formula
from goalmaze.probes.units.interventions import (
    NO_BEHAVIOUR,
    Behaviour,
    Field,
    behaviour,
    divergence,
    field_of,
    follows_from_cells,
    probabilities,
    replacement,
)
from goalmaze.probes.units.library import compute_library
from goalmaze.probes.units.states import MazeStates, Values

MAZES = 32
"""Mazes of a field at size 9, half of them with goal and cue apart."""

TESTED_EDGES = 24
"""Strongest edges that are tested by patching, and others drawn as a control."""

NAN = float("nan")


@dataclasses.dataclass(frozen=True)
class Replaced:
    """What becomes of the policy where something is replaced.

    Attributes:
        kl: by its simulation: KL of the policy, in nats.
        mean_kl: by its mean.
        behaviour: what is reached with the simulation.
    """

    kl: float
    mean_kl: float
    behaviour: Behaviour


@dataclasses.dataclass(frozen=True)
class UnitTests:
    """All interventions.

    Attributes:
        states: number of states.
        before: what the unedited agent reaches.
        channels: (site, channel) → intervention.
        sites: site → all of its channels at once.
        edges: edges tested by patching.
    """

    states: int
    before: Behaviour
    channels: Mapping[tuple[str, int], Replaced]
    sites: Mapping[str, Replaced]
    edges: tuple[Edge, ...]

    def of(self, site: str, channel: int) -> dict[str, float]:
        """Return the fields of a row of one channel."""
        one = self.channels.get((site, channel), Replaced(NAN, NAN, NO_BEHAVIOUR))
        return {
            "intervention_kl": one.kl,
            "mean_kl": one.mean_kl,
            "solved": one.behaviour.solved,
            "preference": one.behaviour.preference,
        }

    def of_site(self, site: str) -> dict[str, float]:
        """Return the fields of a row of a whole site."""
        one = self.sites.get(site, Replaced(NAN, NAN, NO_BEHAVIOUR))
        return {
            "site_kl": one.kl,
            "site_mean_kl": one.mean_kl,
            "site_solved": one.behaviour.solved,
            "site_preference": one.behaviour.preference,
        }


def interventions(agent: Agent, formulas: Mapping[str, Sequence[Formula]], seed: int, mazes: int = MAZES) -> UnitTests:
    """Replace every channel, and every site as a whole, by its simulation and by its mean.

    Memory sites are left out: what is written there changes no action of the same step.

    Args:
        agent: the agent.
        formulas: site → the formula of each channel.
        seed: of the levels and of the edges drawn.
        mazes: number of mazes at size 9; larger ones have more states, so that fewer are used.
    """
    family = agent.family
    # A field holds every free cell of a maze, about 0.4 of its squares.
    mazes = max(4, min(mazes, round(MAZES * (9 / family.size) ** 4)))
    apart = family.levels(seed + 1, count=mazes // 2, split=EVALUATION, shift=family.distinguishing_shift)
    field = field_of(agent.policy, apart, family.levels(seed + 2, count=mazes - mazes // 2, split=EVALUATION))
    needed = [name for each in formulas.values() for formula in each for name in formula.names]
    library = compute_library(MazeStates(field.states), list(dict.fromkeys([*needed, "wall here"])))
    before = probabilities(agent.policy, field)
    exact = follows_from_cells(agent.policy, field.mazes)
    channels: dict[tuple[str, int], Replaced] = {}
    whole: dict[str, Replaced] = {}
    sites = [site for site in formulas if not is_memory_site(agent.network, site)]
    for site in progress(sites, "replacing channels", "site"):
        read = read_channels(agent.policy, agent.network, field.states, [site])[site]
        sides = tuple(read_activations(agent.network, field.observations[:1], [site])[site].shape[1:])
        columns = columns_for(library, field.states, read.scope)
        simulated = [formula(columns) for formula in formulas[site]]
        means = [np.full_like(one, read.values[..., c].mean()) for c, one in enumerate(simulated)]

        def replaced(
            numbers: Sequence[int], values: Sequence[Values], read: Channels = read
        ) -> tuple[float, Behaviour]:
            edit = replacement(read, numbers, values, sides)  # noqa: B023 - called in this pass of the loop alone
            after = probabilities(agent.policy, field, [edit])
            return divergence(before, after), behaviour(field, after) if exact else NO_BEHAVIOUR

        everything = range(len(simulated))
        (kl, reached), (mean_kl, _) = replaced(everything, simulated), replaced(everything, means)
        whole[site] = Replaced(kl, mean_kl, reached)
        for c in everything:
            (kl, reached), (mean_kl, _) = replaced([c], [simulated[c]]), replaced([c], [means[c]])
            channels[site, c] = Replaced(kl, mean_kl, reached)
    return UnitTests(
        len(field.states),
        behaviour(field, before) if exact else NO_BEHAVIOUR,
        channels,
        whole,
        _tested_edges(agent, field, formulas, seed),
    )


def _tested_edges(agent: Agent, field: Field, formulas: Mapping[str, Sequence[Formula]], seed: int) -> tuple[Edge, ...]:
    """Return the strongest edges between the sites explained, and others, with their effect."""
    chosen = test_set(edges(agent.network, field, list(formulas)), TESTED_EDGES, TESTED_EDGES, seed)
    return tuple(progress(list(tested(agent.policy, field, chosen)), "testing edges", "edge"))
