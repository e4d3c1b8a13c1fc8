"""Agents without a map of squares in every retargeting command, and which sites and methods go together."""

from __future__ import annotations

import dataclasses
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
from goalmaze.experiments.retarget.candidates import CELL_METHODS, compatible_pairs, fit_candidate, half_depth
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.retarget.ledger import read_score
from goalmaze.experiments.retarget.report import SteeringReport
from goalmaze.experiments.retarget.task import draw_retargeting_task, make_fit_context
from goalmaze.probes.steering import cell_table, steering_methods

CONV, POOLED, HIDDEN = "embedder.block1.conv", "embedder.block2.maxpool", "embedder.hidden"
SHIPPED = load_agent("zoo:green-exit")


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the folder of an untrained `impala` agent with a decided policy, at 5x5."""
    folder = tmp_path_factory.mktemp("impala")
    family = make_family("GreenExit").resized(5)
    torch.manual_seed(0)
    network = make_network("impala", Shape.seeing(make_view(family)))
    nn.init.orthogonal_(network.get_submodule("fc_policy").weight, 30.0)
    save_checkpoint(folder / CHECKPOINT, network, family, 0)
    return str(folder)


def config(agent: str, **values: object) -> RetargetConfig:
    return RetargetConfig(agent=agent, **{"levels": 24, "fit_levels": 32, **values})  # type: ignore[arg-type]


def test_sites_and_methods_are_paired_where_they_fit(agent: str) -> None:
    network, impala = SHIPPED.network, load_agent(agent).network
    usual = ("mean-pattern",)
    assert compatible_pairs(network, usual=usual) == [(site, "mean-pattern") for site in usual_sites(network)]
    assert ("hidden", "cell-means") in compatible_pairs(network, usual=usual, every_site=True)
    assert compatible_pairs(network, ["stem", "hidden"], ["mean-pattern", "cell-means"]) == [
        ("stem", "mean-pattern"),
        ("stem", "cell-means"),
        ("hidden", "cell-means"),
    ]
    assert compatible_pairs(impala, usual=usual) == [
        (site.name, name) for site in impala.sites() for name in CELL_METHODS
    ]
    assert half_depth(impala) == "embedder.block2.res2"
    assert {name for name, one in steering_methods().items() if one.suits(impala, CONV)} == {
        *CELL_METHODS,
        "unaligned-vector",
    }


@pytest.mark.parametrize(
    ("sites", "methods", "complaint"),
    [
        (["hidden"], ["mean-pattern"], "'hidden' is not a map of squares, which mean-pattern needs; .*, such as stem"),
        (["hidden"], ["magic"], "unknown steering method 'magic'"),
        (["attic"], [], "unknown site of network grid 'attic'"),
        (["stem", "hidden"], ["mean-pattern"], "choose cell-means or cell-table"),
    ],
)
def test_a_pair_that_does_not_fit_is_refused_by_name(sites: list[str], methods: list[str], complaint: str) -> None:
    with pytest.raises(GoalmazeError, match=complaint):
        compatible_pairs(SHIPPED.network, sites, methods)


def test_a_method_for_squares_is_refused_where_there_are_none(agent: str) -> None:
    for values in ({}, {"benchmark": True}, {"ledger": True}, {"auto": True}):
        with pytest.raises(GoalmazeError, match="'mean-pattern' writes maps of squares, and none of the sites is one"):
            command.run(config(agent, methods=("mean-pattern",), **values))
    with pytest.raises(GoalmazeError, match="so its edits fit mazes of 5x5 only: leave --sizes out"):
        command.run(config(agent, benchmark=True, sizes=(7,)))
    hidden = config("zoo:green-exit", sites=("hidden",), methods=("cell-means",), benchmark=True, sizes=(7,))
    with pytest.raises(GoalmazeError, match="'hidden' is for mazes of 9x9, these are 7x7"):
        command.run(hidden)


def test_at_one_site_the_edit_works_like_moving_the_goal(agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "SELECTION_MAZES", 8)
    report = command.run(config(agent, methods=("cell-means",), levels=128))
    assert isinstance(report, comparison.RetargetReport)
    assert {row.site for row in report.rows} == {None, *(site.name for site in load_agent(agent).network.sites())}
    loaded = load_agent(agent)
    task = draw_retargeting_task(loaded.family, 256, 0)
    label = trials.TrialLabel(trials.MOVED_BOTH)
    moved = trials.run_trial(label, task, loaded.policy, levels=task.levels_with_goal_moved())
    edited = report.row(trials.EDIT, CONV, "cell-means").target_rate
    assert abs(edited - moved.outcomes().other.value) < 0.04


def test_benchmark_search_and_ledger_run_without_maps(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FIRST_MAZES", 8)
    monkeypatch.setattr(search, "LAST_MAZES", 16)
    monkeypatch.setattr(search, "STRENGTHS", search.STRENGTHS[:2])
    monkeypatch.setattr(command, "LAST_MAZES", 16)
    monkeypatch.setattr(cell_table, "SCHEDULE", dataclasses.replace(cell_table.SCHEDULE, updates=4))
    sites = (POOLED, HIDDEN)
    benchmarked = command.run(config(agent, benchmark=True, sites=(POOLED,), figures=tmp_path))
    assert isinstance(benchmarked, SteeringReport)
    assert benchmarked.benchmark is not None
    assert [(one.site, one.method) for one in benchmarked.benchmark.candidates] == [(POOLED, m) for m in CELL_METHODS]
    conditions = {row["condition"] for row in json.loads(json.dumps(benchmarked.json(), allow_nan=False))["rows"]}
    assert {
        trials.RANDOM,
        trials.PERMUTED,
        trials.OTHER_MAZE,
        trials.EDIT,
        *trials.PICTURES,
        *trials.FLOORS,
    } <= conditions
    assert [path.name for path in benchmarked.pictures] == [
        f"retarget-{name}.png" for name in ("field", "heat", "activations")
    ]
    hidden = command.run(config(agent, sites=(HIDDEN,), methods=("cell-means",), figures=tmp_path))
    assert isinstance(hidden, SteeringReport)
    assert [path.name for path in hidden.pictures] == ["retarget-field.png", "retarget-heat.png"]
    searched = command.run(config(agent, auto=True))
    assert isinstance(searched, SteeringReport)
    assert searched.search is not None
    assert searched.search.rounds[0].candidates == 15 * len(search.STRENGTHS)
    assert searched.search.chosen.method in CELL_METHODS
    with_ledger = command.run(config(agent, ledger=True, sites=sites))
    assert isinstance(with_ledger, SteeringReport)
    assert with_ledger.ledger is not None
    assert {(one.site, one.method) for one in with_ledger.ledger.entries} == {
        (site, method) for site in sites for method in (*CELL_METHODS, "unaligned-vector")
    }


def test_usual_methods_are_tried_where_only_sites_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: steering_methods()[name] for name in ("mean-pattern", "cell-means", "unaligned-vector")}
    monkeypatch.setattr(command, "steering_methods", lambda: few)
    monkeypatch.setattr(command, "BENCHMARKED", ("mean-pattern",))
    monkeypatch.setattr(cell_table, "SCHEDULE", dataclasses.replace(cell_table.SCHEDULE, updates=2))
    with_ledger = command.run(config("zoo:green-exit", ledger=True, sites=("block8", "hidden")))
    assert isinstance(with_ledger, SteeringReport)
    assert with_ledger.ledger is not None
    assert [(one.site, one.method) for one in with_ledger.ledger.entries] == [
        *(("block8", name) for name in few),
        ("hidden", "cell-means"),
        ("hidden", "unaligned-vector"),
    ]
    benchmarked = command.run(config("zoo:green-exit", benchmark=True, sites=("stem", "hidden")))
    assert isinstance(benchmarked, SteeringReport)
    assert benchmarked.benchmark is not None
    assert [one.method for one in benchmarked.benchmark.candidates] == [*command.BENCHMARKED, *CELL_METHODS]


def test_a_table_reads_the_goal_and_a_shuffled_one_does_not() -> None:
    context = make_fit_context(SHIPPED.policy, SHIPPED.family, 128, 0)
    task = draw_retargeting_task(SHIPPED.family, 96, 0)
    one = fit_candidate(context, "stem", "cell-means")
    assert read_score(context, task, one).value > 0.9
    order = np.random.default_rng(0).permutation(81)
    at_target = one.fitted_edit.at_target[torch.from_numpy(order)]  # type: ignore[union-attr]
    shuffled = type(one)(
        one.site, one.method, type(one.fitted_edit)(**{**vars(one.fitted_edit), "at_target": at_target})
    )
    assert read_score(context, task, shuffled).value < 0.2


def test_at_a_map_the_table_steers_like_the_mean_pattern() -> None:
    context = make_fit_context(SHIPPED.policy, SHIPPED.family, 256, 0)
    task = draw_retargeting_task(SHIPPED.family, 256, 0)
    rates = [
        task.evaluate(SHIPPED.policy, fit_candidate(context, "stem", name).edits(task)).overall.other.value
        for name in ("mean-pattern", "cell-means")
    ]
    none = task.evaluate(SHIPPED.policy).overall.other.value
    assert rates[0] > none + 0.3
    assert abs(rates[0] - rates[1]) < 0.03
