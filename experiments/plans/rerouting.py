"""Changing plans: can directions of probes send an agent along a longer route that it does not take by itself?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.drc import DRCNetwork
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import NEVER, Trajectory
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import LevelBatch
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.tables import interval, number
from goalmaze.experiments.plans.readings import PlanSplits, greedy_rollout
from goalmaze.experiments.statistics.intervals import Rate, rate
from goalmaze.probes.edits.base import applied
from goalmaze.probes.edits.plan_edit import PlanEdit, entering_classes, leaving_classes
from goalmaze.probes.labels import LEAVES, Labels
from goalmaze.probes.plans import APPROACHES, NEVER_CLASS, planning_network
from goalmaze.probes.readout.windows import SquareClassFitter, WindowClassProbe
from goalmaze.probes.routes import RoutePairs, goals_of, route_pairs

STRENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Norms of a written direction, in units of the root mean square of an activation over squares."""

AHEAD = 2
"""Fewest cells ahead of the agent at which the edit from afar writes."""

NONE, EDIT, AFAR, RANDOM = "none", "edit", "edit-afar", "random"
TURNED, OBSERVATION, REFERENCE = "turned", "observation", "reference"
OTHER_MAZE = "other-maze"

STEM = "stem"
"""The first layer, a convolution of the observation."""


@dataclasses.dataclass(frozen=True)
class RerouteRow:
    """How often an agent takes the alternative route under a condition.

    Attributes:
        condition: "none", "edit", "edit-afar", "random", "turned", "other-maze", "observation", "reference".
        concept: of the probe whose directions are written; None without an edit.
        layer: of the cell states that are edited, from 1; None without an edit, and for the observation.
        strength: see `STRENGTHS`; None without an edit.
        taken: rate of mazes in which it arrives and enters no square of its usual route that the alternative leaves
            out.
        followed: rate of mazes in which it enters exactly the squares of the alternative, in order.
        arrived: rate of mazes in which it arrives at the goal.
    """

    condition: str
    concept: str | None
    layer: int | None
    strength: float | None
    taken: Rate
    followed: Rate
    arrived: Rate

    def json(self) -> JsonObject:
        """Return the row as plain data."""
        rates = {"taken": self.taken, "followed": self.followed, "arrived": self.arrived}
        return {
            "condition": self.condition,
            "concept": self.concept,
            "layer": self.layer,
            "strength": self.strength,
            **{name: number(one.value) for name, one in rates.items()},
            **{f"{name}_interval": interval(one) for name, one in rates.items()},
        }

    def row(self) -> list[object]:
        """Return the row of the table."""
        strength = "" if self.strength is None else f"{self.strength:g}"
        return [self.condition, self.concept or "", self.layer or "", strength, self.taken, self.followed, self.arrived]


@dataclasses.dataclass(frozen=True, eq=False)
class Directions:
    """Directions of a probe of plans, one for each class, all of one norm.

    Attributes:
        concept: of the probe.
        layer: whose cell states they are written to, from 0; None for the observation.
        vectors: float32 [K, C], of norm 1 times the root mean square of an activation over squares.
    """

    concept: str
    layer: int | None
    vectors: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Rerouting:
    """Mazes with two routes, and the agent that takes one of them.

    Attributes:
        policy: of the agent.
        pairs: the mazes.
        seed: of random directions.
    """

    policy: NetworkPolicy
    pairs: RoutePairs
    seed: int

    @property
    def network(self) -> DRCNetwork:
        """The network."""
        return planning_network(self.policy.network)

    def edits(
        self, directions: Directions, strength: float, ahead: int = 0, routes: RoutePairs | None = None
    ) -> list[PlanEdit]:
        """Return the edits that write a route, at all ticks of the layer, or at the first layer for the observation.

        Args:
            directions: what is written.
            strength: factor on it.
            ahead: fewest cells ahead of the agent that are written.
            routes: the routes to write; those of the mazes themselves by default.
        """
        pairs = self.pairs if routes is None else routes
        classes_of = leaving_classes if directions.concept == LEAVES else entering_classes
        # The cell that the agent stands on is entered by no step, so directions of entering begin one cell ahead.
        first = max(ahead, 0 if directions.concept == LEAVES else 1)
        layer = directions.layer
        kernel: Tensor | None = None
        if layer is None:
            sites, kernel = [STEM], cast(nn.Conv2d, self.network.get_submodule(STEM)).weight.detach()
        else:
            sites = [self.network.tick_sites(tick + 1)[layer] for tick in range(self.network.options.ticks)]
        return [
            PlanEdit(
                site,
                strength=strength,
                directions=directions.vectors,
                route=pairs.alternative,
                classes=classes_of(pairs.alternative, pairs.levels.width),
                avoided=pairs.left_out,
                ahead=first,
                kernel=kernel,
            )
            for site in sites
        ]

    def play(self, edits: Sequence[PlanEdit] = ()) -> Trajectory:
        """Return the episodes of likeliest actions under edits."""
        with applied(self.policy, edits):
            return greedy_rollout(self.policy, self.pairs.levels, self.seed)

    def row(self, condition: str, directions: Directions | None, strength: float | None, run: Trajectory) -> RerouteRow:
        """Return the row of a condition."""
        layer = None if directions is None or directions.layer is None else directions.layer + 1
        arrived = run.first_visit(goals_of(run.levels)) < NEVER
        counts = [self.pairs.taken(run), self.pairs.followed(run), arrived]
        concept = None if directions is None else directions.concept
        rates = (rate(int(one.sum()), len(one)) for one in counts)
        return RerouteRow(condition, concept, layer, strength, *rates)

    def edited_row(
        self, condition: str, directions: Directions, strength: float, ahead: int = 0, routes: RoutePairs | None = None
    ) -> RerouteRow:
        """Return the row of an edit; arguments as `edits`."""
        return self.row(condition, directions, strength, self.play(self.edits(directions, strength, ahead, routes)))

    def reference(self) -> RerouteRow:
        """Return the row of the unedited agent where a wall stands on its usual route: what a picture can do."""
        levels = self.pairs.levels
        walls = levels.walls.reshape(len(levels), -1).copy()
        walls[np.arange(len(levels)), self.pairs.first_left_out] = True
        blocked = dataclasses.replace(levels, walls=walls.reshape(levels.walls.shape))
        return self.row(REFERENCE, None, None, greedy_rollout(self.policy, blocked, self.seed))

    def with_best_strength(self, directions: Directions) -> tuple[float, float]:
        """Return the highest rate at which the alternative is taken, and its strength; of equals the smallest."""
        scores = [(self.edited_row(EDIT, directions, one).taken.value, one) for one in STRENGTHS]
        return max(scores, key=lambda score: score[0])


def reroute(
    agent: Agent, splits: PlanSplits, probes: dict[tuple[str, int], WindowClassProbe], seed: int
) -> list[RerouteRow]:
    """Return how often the agent takes the alternative route: edits beside their controls, on held-out mazes.

    Layer and strength of an edit are selected on fitting mazes, for each concept and for each control anew.

    Args:
        agent: the agent.
        splits: the mazes that probes were fitted on, and held-out ones with other walls.
        probes: by concept and layer from 0.
        seed: of random directions.

    Raises:
        GoalmazeError: no maze has two routes.
    """
    fitting, held_out = (
        Rerouting(agent.policy, _pairs(agent, data.levels, seed), seed) for data in (splits.fit, splits.evaluation)
    )
    tick = fitting.network.options.ticks - 1
    rows = [held_out.row(NONE, None, None, held_out.play()), held_out.reference()]
    concepts = (APPROACHES, LEAVES)
    layers = range(fitting.network.options.layers)
    jobs = [(concept, condition) for concept in concepts for condition in (EDIT, TURNED, RANDOM, OBSERVATION)]
    for concept, condition in progress(jobs, "changing plans", "condition"):
        maps = [splits.fit.trained[tick][layer] for layer in layers]
        if condition == OBSERVATION:
            found = [_fitted(splits.fit.observations, splits.fit.labels[concept], None, seed)]
        else:
            found = [_scaled(concept, layer, probes[concept, layer], maps[layer]) for layer in layers]
        if condition == RANDOM:
            found = [_random(one, seed) for one in found]
        if condition == TURNED:
            found = [_turned(one) for one in found]
        best, strength = _best(fitting, found)
        rows.append(held_out.edited_row(condition, best, strength))
        if condition == EDIT:
            rows.append(held_out.edited_row(AFAR, best, strength, AHEAD))
            other = held_out.pairs.take(np.roll(np.arange(len(held_out.pairs)), 1))
            rows.append(held_out.edited_row(OTHER_MAZE, best, strength, routes=other))
    return rows


def _pairs(agent: Agent, levels: LevelBatch, seed: int) -> RoutePairs:
    pairs = route_pairs(greedy_rollout(agent.policy, levels, seed))
    if not len(pairs):
        raise GoalmazeError(
            f"none of {len(levels)} mazes has a second route beside the one that the agent takes: ask for more levels, "
            "or train in mazes with loops, such as --parameters braid=0.5"
        )
    return pairs


def _best(fitting: Rerouting, found: Sequence[Directions]) -> tuple[Directions, float]:
    """Return the directions and the strength with which the alternative is taken most often on fitting mazes."""
    scores = [(*fitting.with_best_strength(one), one) for one in found]
    _, strength, directions = max(scores, key=lambda score: score[0])
    return directions, strength


def _fitted(maps: Tensor, labels: Labels, layer: int | None, seed: int) -> Directions:
    probe = SquareClassFitter(maps, 1, seed).fit(labels.values, len(labels.classes))
    return _scaled(labels.name, layer, probe, maps)


def _scaled(concept: str, layer: int | None, probe: WindowClassProbe, maps: Tensor) -> Directions:
    """Return a probe's directions; only differences between classes matter to it, so their mean is taken out."""
    weights = probe.kernel.flatten(1)
    return Directions(concept, layer, _with_norm(weights - weights.mean(dim=0), maps))


def _turned(directions: Directions) -> Directions:
    """Return the same directions, each for the action a quarter turn further: the right ones in the wrong places."""
    actions = list(range(1, 1 + len(ACTIONS)))
    order = [NEVER_CLASS, *actions[1:], actions[0], *range(1 + len(ACTIONS), len(directions.vectors))]
    return dataclasses.replace(directions, vectors=directions.vectors[order])


def _random(directions: Directions, seed: int) -> Directions:
    """Return random directions of the same norm, one for each class."""
    rng = torch.Generator().manual_seed(seed)
    drawn = torch.randn(directions.vectors.shape, generator=rng)
    norms = directions.vectors.norm(dim=1, keepdim=True)
    return dataclasses.replace(directions, vectors=drawn / drawn.norm(dim=1, keepdim=True) * norms)


def _with_norm(vectors: Tensor, maps: Tensor) -> Tensor:
    scale = maps.square().sum(dim=1).mean().sqrt()
    return torch.as_tensor(vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-12) * scale)
