"""`goalmaze plans`: an agent whose plan is planted in its cell state, and one without a plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from complaints import Refusals
from torch import Tensor

from goalmaze.agents.loading import Agent
from goalmaze.agents.networks.base import Shape, agent_cells
from goalmaze.agents.networks.drc import DRCNetwork
from goalmaze.envs.actions import MOVES
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.plans.figures import draw_plans
from goalmaze.experiments.plans.plans import plans
from goalmaze.experiments.plans.report import PlansReport

SIZE, WALL, EXIT = 7, 0, 2
FAR, LONGEST = 99.0, 16


class PlantedPlanner(DRCNetwork):
    """Writes the shortest path into its cell state at its second tick, and steps onto the neighbour that it names.

    Channel a of the cell state is 1 on the squares that the path enters by action a. The first tick writes nothing. It
    remembers the path of its first observation.
    """

    name = "planted-planner-for-tests"

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        maps = features.float()
        self.get_submodule("stem")(maps)
        self.get_submodule("tick1_layer1_cell")(torch.zeros_like(maps))
        path = memory[:, 0, 0] if memory.any() else shortest_path(maps)
        plan = self.get_submodule("tick2_layer1_cell")(path)
        rows, agent = torch.arange(len(maps)), agent_cells(maps)
        named = [plan[rows, a, agent // SIZE + down, agent % SIZE + right] for a, (down, right) in enumerate(MOVES)]
        logits = 5 * torch.stack(named, 1)
        return logits, logits[:, 0], path[:, None, None].repeat(1, 1, 2, 1, 1, 1)


def shortest_path(maps: Tensor) -> Tensor:
    """Return float32 [B, 4, H, W], 1 where a shortest path from agent to exit enters a square by each action."""
    steps = torch.where(maps[:, EXIT] > 0, 0.0, FAR)
    for _ in range(LONGEST):
        around = torch.nn.functional.pad(steps, (1, 1, 1, 1), value=FAR)
        nearest = torch.stack([around[:, 1 + d : 1 + d + SIZE, 1 + r : 1 + r + SIZE] for d, r in MOVES]).amin(0)
        steps = torch.where(maps[:, WALL] > 0, FAR, torch.minimum(steps, nearest + 1))
    plan, rows, cell = torch.zeros(len(maps), 4, SIZE, SIZE), torch.arange(len(maps)), agent_cells(maps)
    for _ in range(LONGEST):
        near = torch.stack([steps[rows, cell // SIZE + d, cell % SIZE + r] for d, r in MOVES], 1)
        going = steps[rows, cell // SIZE, cell % SIZE] > 0
        action = near.argmin(dim=1)
        moves = torch.tensor(MOVES)[action]
        cell = torch.where(going, cell + moves[:, 0] * SIZE + moves[:, 1], cell)
        plan[rows[going], action[going], cell[going] // SIZE, cell[going] % SIZE] = 1
    return plan


@pytest.fixture(scope="module")
def family() -> Family:
    return make_family("GreenExit", {"size": SIZE, "braid": 0.5})


@pytest.fixture(scope="module")
def planted(family: Family) -> PlansReport:
    torch.manual_seed(0)
    options = {"layers": 1, "ticks": 2, "channels": 4, "hidden": 4}
    network = PlantedPlanner(Shape.seeing(make_view(family)), DRCNetwork.Options(**options))
    return plans(Agent(network, family, "planted"), levels=48, fit_levels=50, passes=1, think=[1], sizes=[SIZE])


def test_a_planted_plan_is_read_at_its_tick_and_in_no_baseline(planted: PlansReport) -> None:
    for one in planted.readings:
        if one.concept == "approaches" and one.tick == 2:
            assert one.score.value > 0.95
            assert one.recall.value > 0.95
            # Random weights do not change what this network computes.
            assert one.untrained.value == one.score.value
            assert max(one.observation.high, one.shuffled.high) < one.score.low
        assert not one.above
    first, second = next(one for one in planted.refinements if one.concept == "approaches").scores
    assert first.value < 0.3 < second.value


def test_writing_a_planted_plan_changes_the_route_and_no_control_does(planted: PlansReport) -> None:
    edit = planted.edit("edit", "approaches")
    assert edit.taken.value > 0.95
    assert edit.followed.value > 0.9
    assert planted.edit("none").taken.value == 0
    assert planted.edit("reference").taken.value == 1
    for control in ("random", "turned", "observation", "other-maze", "edit-afar"):
        # The planted agent looks one square ahead, so that what is written further away moves it only later.
        assert planted.edit(control, "approaches").taken.value < edit.taken.value - 0.3, control


def test_thinking_changes_nothing_in_an_agent_without_memory_of_it(planted: PlansReport) -> None:
    before, after = planted.thinking
    assert (before.think, after.think, after.gained, after.lost, after.p) == (0, 1, 0, 0, 1.0)
    assert before.solved.value == 1


def test_the_report_prints_is_plain_data_and_is_drawn(planted: PlansReport, tmp_path: Path) -> None:
    data = json.loads(json.dumps(planted.json()))
    assert {row["condition"] for row in data["edits"]} == {
        *("none", "reference", "edit", "edit-afar", "other-maze", "turned", "random", "observation")
    }
    assert "alternative taken" in planted.text()
    pictures = draw_plans(planted, tmp_path)
    assert [path.stem for path in pictures] == ["plans-by-tick", "plans-refined", "plans-changed", "plans-thinking"]


def test_agents_without_ticks_unknown_parts_and_long_thoughts_are_refused(refusals: Refusals) -> None:
    refusals.check(["plans", "zoo:green-exit"], ["ticks of network drc", "grid"])
    refusals.check(["plans", "zoo:green-exit", "--skip", "edit"], ["edit", "edits"])
    refusals.check(["plans", "zoo:green-exit", "--think", "-1"], ["--think"])
    refusals.check(["eval", "zoo:green-exit", "--think", "2"], ["no memory"])
    refusals.check(["eval", "zoo:green-exit-lstm", "--think", "2", "--grid"], ["--think"])
