"""Rewriting a memory once: an agent that remembers its goal as one number a cell, and agents that remember nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from complaints import Refusals, words_of_case
from torch import Tensor, nn

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import CHECKPOINT, Agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import NetworkOptions, RecurrentNetwork, Shape, Site, agent_cells
from goalmaze.agents.networks.registry import register_network
from goalmaze.agents.population_files import save_population
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments import cli
from goalmaze.experiments.retarget.rewrite_report import RewriteReport
from goalmaze.experiments.retarget.rewriting import rewrite_memory

EXIT_PLANE = 2
SIZE = 7


@dataclasses.dataclass(frozen=True)
class NoOptions(NetworkOptions):
    """No hyperparameters."""


@register_network
class Rememberer(RecurrentNetwork):
    """Keeps the exit's plane, and walks towards the largest entry of what it kept; in an open room that is optimal."""

    name = "rememberer-for-tests"
    Options = NoOptions

    def __init__(self, shape: Shape, options: NoOptions) -> None:
        super().__init__()
        self.shape, self.options = shape, options
        # 0 where untrained: all actions are then equally likely.
        self.certainty = nn.Parameter(torch.zeros(()))
        self.memory = nn.Identity()

    def initial_memory(self, batch: int, observation_shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(batch, SIZE**2)

    def recur(self, features: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        exit_ = features[:, EXIT_PLANE].flatten(1).float()
        kept = torch.where(exit_.any(dim=1, keepdim=True), exit_, memory)
        # A softmax instead of an argmax, so that gradients reach the memory.
        weights, cells, agent = (30 * kept).softmax(dim=1), torch.arange(SIZE**2), agent_cells(features)
        down = (weights @ (cells // SIZE).float()) - agent // SIZE
        right = (weights @ (cells % SIZE).float()) - agent % SIZE
        logits = self.certainty * torch.stack([-down, right, down, -right], 1).tanh()
        return logits, logits[:, 0], self.memory(kept)

    def sites(self) -> tuple[Site, ...]:
        return ()

    def memory_sites(self) -> tuple[Site, ...]:
        return (Site("memory", SIZE**2, is_map=False),)


@pytest.fixture(scope="module")
def family() -> Family:
    return make_family("Glimpse", {"size": SIZE, "algorithm": "open-room"})


@pytest.fixture(scope="module")
def agent(family: Family) -> Agent:
    network = make_network("rememberer-for-tests", Shape.seeing(make_view(family)))
    nn.init.constant_(network.get_parameter("certainty"), 8.0)
    return Agent(network, family, "rememberer")


@pytest.fixture(scope="module")
def memoryless(family: Family) -> Agent:
    torch.manual_seed(0)
    options = {"channels": 4, "blocks": 1, "hidden": 8}
    return Agent(make_network("grid", Shape.seeing(make_view(family)), options), family, "memoryless")


@pytest.fixture(scope="module")
def report(agent: Agent, memoryless: Agent) -> RewriteReport:
    methods = ["goal-table", "goal-table-start", "erase-and-write"]
    return rewrite_memory(agent, methods, memoryless=memoryless, levels=200, fit_levels=200, benchmark=True)


def off_path(report: RewriteReport, condition: str, steps: str | None = None) -> float:
    return report.row(condition, steps).outcomes.off_path.other.value


def test_a_planted_goal_is_moved_by_a_table_and_by_no_control(report: RewriteReport) -> None:
    assert off_path(report, "reference") > 0.97
    assert off_path(report, "edit", "once") >= 0.95 * off_path(report, "reference")
    assert off_path(report, "memory-swap") >= 0.95 * off_path(report, "reference")
    assert report.of_reference >= 0.95
    # Of a memory that was rewritten for another maze the agent goes to another cell.
    for control in ("random", "other-maze"):
        assert off_path(report, control) < off_path(report, "none") + 0.2


def test_a_rewrite_can_be_undone_and_costs_nothing_where_the_target_is_the_goal(report: RewriteReport) -> None:
    assert report.restoration is not None
    assert report.restoration.goal_rate("edit") < 0.5
    # Not 1: an agent that has walked towards the target for two steps sometimes passes it on its path back.
    assert report.restoration.goal_rate("restored") > 0.7
    assert report.restoration.of_restored >= 0.97
    assert report.row("target-is-goal").outcomes.overall.goal.value > 0.97
    # In the mazes of the restoration neither goal nor target can be reached before the memory is written back.
    assert report.restoration.rows[0].outcomes.overall.other.levels < report.rows[0].outcomes.overall.other.levels


def test_a_goal_that_is_moved_to_another_cell_does_not_send_the_agent_to_the_target(report: RewriteReport) -> None:
    assert off_path(report, "other-target") < off_path(report, "edit", "once") - 0.3


def test_every_method_is_fitted_anew_to_every_floor(report: RewriteReport) -> None:
    for floor in ("floor-untrained", "floor-memoryless"):
        methods = [row.method for row in report.rows if row.condition == floor]
        assert sorted(map(str, methods)) == ["erase-and-write", "goal-table", "goal-table-start"]


def test_the_benchmark_rewrites_after_later_steps_too(report: RewriteReport) -> None:
    counts = [report.row("reference", after=after).outcomes.overall.other.levels for after in (1, 3, 5)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[2]
    assert report.row("edit", after=3).outcomes.off_path.other.value > 0.8


def test_units_that_carry_the_goal_are_enough_and_others_are_not(report: RewriteReport) -> None:
    assert report.units is not None
    # The planted goal is one number a cell, so that the cells of walls carry nothing: 25 of 49 cells are free.
    assert report.units.smallest <= 25
    count = next(one for one in report.units.counts if one.units == report.units.smallest)
    assert count.only.value >= 0.85 * off_path(report, "edit", "once")
    assert count.random.value < count.only.value - 0.2
    assert count.read.value > 0.8


def test_floors_are_the_rates_without_an_edit(report: RewriteReport) -> None:
    for floor, unedited in (
        ("floor-untrained", "unedited-untrained"),
        ("floor-memoryless", "unedited-memoryless"),
    ):
        assert abs(off_path(report, floor) - off_path(report, unedited)) < 0.1


def test_later_rewrites_act_later_and_on_mazes_that_are_still_under_way(agent: Agent, family: Family) -> None:
    late = rewrite_memory(agent, ["goal-table"], levels=200, fit_levels=64, after=3)
    assert off_path(late, "edit", "once") > 0.8
    assert off_path(late, "memory-swap") > 0.8
    assert late.rows[0].outcomes.overall.other.levels < 200
    assert late.json()["after"] == 3


def test_rows_are_plain_data(report: RewriteReport) -> None:
    data = json.loads(json.dumps(report.json()))
    assert {row["condition"] for row in data["rows"]} >= {
        *("none", "random", "other-maze", "edit", "memory-swap", "reference", "floor-untrained", "floor-memoryless")
    }
    edits = [row for row in data["rows"] if row["condition"] == "edit"]
    assert {row["steps"] for row in edits} == {"once", "every"}
    assert all(
        set(row["outcomes"]) == {"target", "goal", "neither"} == set(row["off_path"]["outcomes"]) for row in edits
    )
    assert "0.9" in report.text() or "1.00" in report.text()


def test_the_command_leads_with_the_memory_of_an_agent_that_must_remember(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = make_family("Glimpse", {"size": 5})
    torch.manual_seed(0)
    network = make_network(
        "lstm", Shape.seeing(make_view(small)), {"channels": 4, "blocks": 1, "hidden": 8, "units": 4}
    )
    save_checkpoint(tmp_path / "one.safetensors", network, small, 0)
    agent = str(tmp_path / "one.safetensors")
    assert cli.main(["retarget", agent, "--levels", "24", "--fit-levels", "16", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["after"] == 1
    assert data["chosen"]["site"] == "memory"


def test_a_population_is_each_of_its_agents_and_their_mean(
    agent: Agent, family: Family, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    certainties = (8.0, 0.0, 6.0, 4.0, 5.0)
    tensors = {"certainty": torch.tensor(certainties)}
    many = tmp_path / "many"
    many.mkdir()
    save_population(many / CHECKPOINT, tensors, agent.network, [family] * 5, range(3, 8), [0] * 5)
    options = ["--methods", "goal-table", "--levels", "96", "--fit-levels", "64"]
    printed = {}
    for name in (str(many), f"{many}/0", f"{many}/1"):
        assert cli.main(["retarget", name, "--once", *options, "--json"]) == 0
        printed[name] = json.loads(capsys.readouterr().out)
    together = printed[str(many)]
    for number in (0, 1):
        assert together["agents"][number]["rows"] == printed[f"{many}/{number}"]["rows"]
    assert together["agents"][0]["rows"] != together["agents"][1]["rows"]
    assert [one["seed"] for one in together["agents"]] == [3, 4, 5, 6, 7]
    (group,) = together["distribution"]
    edit = next(row for row in group["rows"] if (row["name"], row["steps"]) == ("edit", "once"))
    rates = [
        next(row for row in one["rows"] if (row["condition"], row["steps"]) == ("edit", "once"))["off_path"]
        for one in together["agents"]
    ]
    values = [one["outcomes"]["target"] for one in rates]
    assert edit["target_off_path"]["values"] == pytest.approx(values, abs=1e-4)
    half = 2.776445 * float(np.std(values, ddof=1)) / 5**0.5
    assert edit["target_off_path"]["mean"] == pytest.approx(np.mean(values), abs=1e-3)
    assert edit["target_off_path"]["low"] == pytest.approx(max(0, np.mean(values) - half), abs=1e-3)
    # Of the agent without a goal no edit makes a follower, and the agents that remember one are moved.
    assert group["owed_to_target"]["values"][1] < 0.15 < 0.3 < group["owed_to_target"]["values"][0]
    assert cli.main(["retarget", str(many), *options[2:]]) == 0
    text = capsys.readouterr().out
    assert "5 agents, seeds 3 to 7" in text
    assert f"{many}/4" in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["zoo:green-exit", "--once"], "network grid has no memory, so it has no site 'memory'"),
        (["zoo:green-exit", "--sites", "memory"], "network grid has no memory"),
        (["zoo:green-exit-lstm", "--once", "--after", "0"], "before its first step the agent has seen no goal"),
        (["zoo:green-exit-lstm", "--once", "--sites", "cell_state"], "site 'cell_state' is computed within a step"),
        (["zoo:green-exit-lstm", "--once", "--methods", "sae"], "unknown method for a memory 'sae'"),
        (["zoo:green-exit-lstm", "--after", "2"], "--after and --memoryless belong to --once"),
        (["zoo:green-exit-lstm", "--once", "--memoryless", "zoo:green-exit-lstm"], "is to be an agent without memory"),
    ],
    ids=words_of_case,
)
def test_what_cannot_be_rewritten_is_refused_by_name(arguments: list[str], words: str, refusals: Refusals) -> None:
    refusals.check(["retarget", *arguments], [words])
