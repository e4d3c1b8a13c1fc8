"""Agents without a map of squares in every retargeting command, and what goes together with what."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import CHECKPOINT, load_agent
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.sites import usual_sites
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.retarget import command, comparison, search, trials
from goalmaze.experiments.retarget.candidates import BY_CELL, find_candidate, half_depth, suited
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.retarget.ledger import read_score
from goalmaze.experiments.retarget.task import draw_retargeting_task
from goalmaze.probes.steering import all_methods, cell_table, expert_pattern

CONV, POOLED, HIDDEN = "embedder.block1.conv", "embedder.block2.maxpool", "embedder.hidden"
SHIPPED = load_agent("zoo:green-exit")


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of an untrained `impala` agent of definite opinions, at 5x5."""
    folder = tmp_path_factory.mktemp("impala")
    family = make_family("GreenExit").resized(5)
    torch.manual_seed(0)
    network = make_network("impala", Shape.seeing(make_view(family)))
    nn.init.orthogonal_(network.get_submodule("fc_policy").weight, 30.0)
    save_checkpoint(folder / CHECKPOINT, network, family, 0)
    return str(folder)


def config(agent: str, **values: object) -> RetargetConfig:
    return RetargetConfig(agent=agent, **{"levels": 24, "fit_levels": 32, **values})  # type: ignore[arg-type]


def test_sites_and_methods_are_paired_where_they_go_together(agent: str) -> None:
    network, impala = SHIPPED.network, load_agent(agent).network
    usual = ("mean-pattern",)
    assert suited(network, usual=usual) == [(site, "mean-pattern") for site in usual_sites(network)]
    assert ("hidden", "cell-means") in suited(network, usual=usual, everywhere=True)
    assert suited(network, ["stem", "hidden"], ["mean-pattern", "cell-means"]) == [
        ("stem", "mean-pattern"),
        ("stem", "cell-means"),
        ("hidden", "cell-means"),
    ]
    assert suited(impala, usual=usual) == [(site.name, name) for site in impala.sites() for name in BY_CELL]
    assert half_depth(impala) == "embedder.block2.res2"
    assert {name for name, one in all_methods().items() if one.suits(impala, CONV)} == {*BY_CELL, "unaligned-vector"}


@pytest.mark.parametrize(
    ("sites", "methods", "complaint"),
    [
        (["hidden"], ["mean-pattern"], "'hidden' is not a map of squares, without which mean-pattern .*, such as stem"),
        (["hidden"], ["magic"], "unknown steering method 'magic'"),
        (["attic"], [], "unknown site of network grid 'attic'"),
        (["stem", "hidden"], ["mean-pattern"], "choose cell-means or cell-table"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(sites: list[str], methods: list[str], complaint: str) -> None:
    with pytest.raises(GoalmazeError, match=complaint):
        suited(SHIPPED.network, sites, methods)


def test_a_method_for_squares_is_refused_where_there_are_none(agent: str) -> None:
    for values in ({}, {"benchmark": True}, {"ledger": True}, {"auto": True}):
        with pytest.raises(GoalmazeError, match="'mean-pattern' writes maps of squares, and none of the sites is one"):
            command.run(config(agent, methods=("mean-pattern",), **values))
    with pytest.raises(GoalmazeError, match="are for 5x5 alone: leave --sizes out"):
        command.run(config(agent, benchmark=True, sizes=(7,)))
    hidden = config("zoo:green-exit", sites=("hidden",), methods=("cell-means",), benchmark=True, sizes=(7,))
    with pytest.raises(GoalmazeError, match="'hidden' is for mazes of 9x9, these are 7x7"):
        command.run(hidden)


def test_the_table_of_all_sites_says_where_the_edit_does_what_moving_does(
    agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "REHEARSED", 8)
    report = command.run(config(agent, methods=("cell-means",), levels=256))
    assert isinstance(report, comparison.RetargetReport)
    assert {row.site for row in report.rows} == {None, *(site.name for site in load_agent(agent).network.sites())}
    found = load_agent(agent)
    task = draw_retargeting_task(found.family, 256, 0)
    moved = trials.attempt(trials.Label(trials.MOVED_BOTH), task, found.policy, levels=task.seen_moved())
    edited = report.row(comparison.EDIT, CONV, "cell-means").arrivals.everywhere.other.value
    assert abs(edited - moved.outcomes().other.value) < 0.04


def test_the_benchmark_the_search_and_the_ledger_take_them(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEWEST", 8)
    monkeypatch.setattr(search, "MOST", 16)
    monkeypatch.setattr(command, "MOST", 16)
    monkeypatch.setattr(cell_table, "UPDATES", 4)
    sites = (CONV, POOLED, HIDDEN)
    judged = command.run(config(agent, benchmark=True, sites=sites, figures=tmp_path))
    assert isinstance(judged, command.SteeringReport)
    assert judged.benchmark is not None
    assert [(one.site, one.method) for one in judged.benchmark.candidates] == [(s, m) for s in sites for m in BY_CELL]
    conditions = {row["condition"] for row in json.loads(json.dumps(judged.json(), allow_nan=False))["rows"]}
    assert {trials.RANDOM, trials.OTHER_MAZE, trials.UNTRAINED, trials.EDIT} <= conditions
    assert [path.name for path in judged.pictures] == [
        f"retarget-{name}.png" for name in ("field", "heat", "activations")
    ]
    hidden = command.run(config(agent, sites=(HIDDEN,), methods=("cell-means",), figures=tmp_path))
    assert isinstance(hidden, command.SteeringReport)
    assert [path.name for path in hidden.pictures] == ["retarget-field.png", "retarget-heat.png"]
    searched = command.run(config(agent, auto=True))
    assert isinstance(searched, command.SteeringReport)
    assert searched.search is not None
    assert searched.search.rounds[0].candidates == 15 * len(search.STRENGTHS)
    assert searched.search.chosen.method in BY_CELL
    kept = command.run(config(agent, ledger=True, sites=sites))
    assert isinstance(kept, command.SteeringReport)
    assert kept.ledger is not None
    assert {(one.site, one.method) for one in kept.ledger.entries} == {
        (site, method) for site in sites for method in (*BY_CELL, "unaligned-vector")
    }


def test_where_only_sites_are_named_the_usual_methods_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: all_methods()[name] for name in ("mean-pattern", "cell-means", "unaligned-vector")}
    monkeypatch.setattr(command, "all_methods", lambda: few)
    monkeypatch.setattr(expert_pattern, "UPDATES", 2)
    monkeypatch.setattr(cell_table, "UPDATES", 2)
    kept = command.run(config("zoo:green-exit", ledger=True, sites=("block8", "hidden")))
    assert isinstance(kept, command.SteeringReport)
    assert kept.ledger is not None
    assert [(one.site, one.method) for one in kept.ledger.entries] == [
        *(("block8", name) for name in few),
        ("hidden", "cell-means"),
        ("hidden", "unaligned-vector"),
    ]
    judged = command.run(config("zoo:green-exit", benchmark=True, sites=("stem", "hidden")))
    assert isinstance(judged, command.SteeringReport)
    assert judged.benchmark is not None
    assert [one.method for one in judged.benchmark.candidates] == [*command.BENCHMARKED, *BY_CELL]


def test_a_table_reads_the_goal_where_it_is_and_not_from_shuffled_cells() -> None:
    context = comparison.make_fit_context(SHIPPED.policy, SHIPPED.family, 128, 0)
    task = draw_retargeting_task(SHIPPED.family, 96, 0)
    one = find_candidate(context, "stem", "cell-means")
    assert read_score(context, task, one).value > 0.9
    order = np.random.default_rng(0).permutation(81)
    arriving = one.found.arriving[torch.from_numpy(order)]  # type: ignore[union-attr]
    shuffled = type(one)(one.site, one.method, type(one.found)(**{**vars(one.found), "arriving": arriving}))
    assert read_score(context, task, shuffled).value < 0.2


def test_at_a_map_of_squares_the_table_does_what_the_mean_pattern_does() -> None:
    context = comparison.make_fit_context(SHIPPED.policy, SHIPPED.family, 256, 0)
    task = draw_retargeting_task(SHIPPED.family, 256, 0)
    shares = [
        task.run(SHIPPED.policy, find_candidate(context, "stem", name).edits(task)).everywhere.other.value
        for name in ("mean-pattern", "cell-means")
    ]
    none = task.run(SHIPPED.policy).everywhere.other.value
    assert shares[0] > none + 0.3
    assert abs(shares[0] - shares[1]) < 0.03
