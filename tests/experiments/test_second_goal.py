"""Rewriting the second of two goals: an agent that remembers both as one number a cell, and what is refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import NetworkOptions, RecurrentNetwork, Shape, Site, agent_cells
from goalmaze.agents.networks.registry import register_network
from goalmaze.agents.rollout import NEVER, rollout
from goalmaze.agents.scripted import scripted_baselines
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.retarget.second_goal import SecondGoalReport, rewrite_second_goal, visit_behind

SIZE = 7
SQUARES = SIZE**2
EXIT_PLANE = 2


@dataclasses.dataclass(frozen=True)
class NoOptions(NetworkOptions):
    """No hyperparameters."""


@register_network
class TwoGoalRememberer(RecurrentNetwork):
    """Keeps the planes of exit and gate, and walks to the gate's largest entry, then to the exit's.

    The memory holds both planes and whether the agent was at the gate. In an open room its paths are shortest ones.
    """

    name = "two-goal-rememberer-for-tests"
    Options = NoOptions
    gate_plane = -1

    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__()
        self.shape, self.options = shape, options
        # 0 where untrained: all actions are then equally likely.
        self.certainty = nn.Parameter(torch.zeros(()))
        self.memory = nn.Identity()

    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(batch, 2 * SQUARES + 1)

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen = torch.cat([features[:, EXIT_PLANE].flatten(1), features[:, self.gate_plane].flatten(1)], 1).float()
        kept = torch.where(seen.any(dim=1, keepdim=True), seen, memory[:, :-1])
        exit_, gate = kept[:, :SQUARES].argmax(dim=1), kept[:, SQUARES:].argmax(dim=1)
        agent = agent_cells(features)
        opened = torch.maximum(memory[:, -1], (agent == gate).float())
        target = torch.where(opened > 0, exit_, gate)
        down, right = target // SIZE - agent // SIZE, target % SIZE - agent % SIZE
        logits = self.certainty * torch.stack([-down, right, down, -right], 1).clamp(-1, 1)
        return logits, logits[:, 0], self.memory(torch.cat([kept, opened[:, None]], 1))

    def sites(self) -> tuple[Site, ...]:
        return ()

    def memory_sites(self) -> tuple[Site, ...]:
        return (Site("memory", 2 * SQUARES + 1, is_map=False),)


@pytest.fixture(scope="module")
def family() -> Family:
    return make_family("Glimpse", {"size": SIZE, "algorithm": "open-room", "goals": 2})


@pytest.fixture(scope="module")
def report(family: Family) -> SecondGoalReport:
    TwoGoalRememberer.gate_plane = list(family.plane_names).index("gate")
    network = make_network("two-goal-rememberer-for-tests", Shape.seeing(make_view(family)))
    nn.init.constant_(network.get_parameter("certainty"), 8.0)
    return rewrite_second_goal(Agent(network, family, "rememberer"), levels=150, fit_levels=64)


def test_the_second_goal_is_moved_and_the_first_is_reached_as_before(report: SecondGoalReport) -> None:
    none, edit, reference = (report.row(name) for name in ("none", "edit", "reference"))
    assert none.first.value > 0.97
    assert none.first_unchanged.value == 1
    assert none.target_off_path.value < 0.2 < 0.95 < reference.target_off_path.value
    assert edit.target_off_path.value >= 0.95 * reference.target_off_path.value
    assert report.row("memory-swap").target_off_path.value >= 0.95 * reference.target_off_path.value
    # The gate is kept beside the exit, and no constant of the exit touches it.
    assert edit.first.value == none.first.value
    assert edit.first_unchanged.value == 1
    assert edit.second.value < 0.3 < none.second.value


def test_no_control_moves_the_second_goal(report: SecondGoalReport) -> None:
    none = report.row("none").target_off_path.value
    assert report.row("other-maze").target_off_path.value < none + 0.3
    assert report.row("random").target_off_path.value < none + 0.3
    untrained, floor = report.row("unedited-untrained"), report.row("floor-untrained")
    assert floor.target_off_path.value == untrained.target_off_path.value


def test_visits_behind_a_step_are_those_of_a_loop_by_hand(family: Family) -> None:
    levels = family.levels(0, count=16)
    walks = rollout(scripted_baselines(family)["random-walker"], levels, seed=2)
    gates, exits = levels.cells("gate"), levels.cells("exit")
    behind = visit_behind(walks, exits, walks.first_visit(gates))
    for row in range(16):
        path = [int(cell) for cell in walks.agent[:, row]]
        gate = path.index(int(gates[row])) if int(gates[row]) in path else None
        later = [] if gate is None else [step for step in range(gate, len(path)) if path[step] == exits[row]]
        assert behind[row] == (later[0] if later else NEVER)
    assert (np.minimum(behind, NEVER) < NEVER).any()


def test_families_with_one_goal_are_refused() -> None:
    family = make_family("Glimpse", {"size": SIZE})
    network = make_network("lstm", Shape.seeing(make_view(family)), {"channels": 4, "blocks": 1, "units": 4})
    with pytest.raises(GoalmazeError, match="one goal"):
        rewrite_second_goal(Agent(network, family), levels=4, fit_levels=4)
