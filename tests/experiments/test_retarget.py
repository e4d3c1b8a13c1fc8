"""Benchmark, controls, search and ledger on a shipped agent, with effects that broken code would not show."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from goalmaze.agents.loading import load_agent
from goalmaze.agents.rollout import rollout, stepwise
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import FITTING
from goalmaze.envs.solving import distances, pick
from goalmaze.experiments.retarget import bins, command, search, trials, variants
from goalmaze.experiments.retarget.benchmark import Benchmark, benchmark, resized_tasks
from goalmaze.experiments.retarget.candidates import Candidate, fit_candidate, with_largest_channels
from goalmaze.experiments.retarget.comparison import retarget
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.retarget.ledger import ledger
from goalmaze.experiments.retarget.report import SteeringReport
from goalmaze.experiments.retarget.side_effects import identical, summarise_behaviour
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task, make_fit_context
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.procgen_tools.vector_fields import field_change, vector_field
from goalmaze.probes.steering import expert_pattern

AGENT = load_agent("zoo:green-exit")


@pytest.fixture(scope="module")
def context() -> FitContext:
    return make_fit_context(AGENT.policy, AGENT.family, 128, 0)


@pytest.fixture(scope="module")
def stem(context: FitContext) -> Candidate:
    return fit_candidate(context, "stem", "mean-pattern")


@pytest.fixture(scope="module")
def task() -> RetargetingTask:
    return draw_retargeting_task(AGENT.family, 96, 0)


@pytest.fixture(scope="module")
def benchmarked(task: RetargetingTask, stem: Candidate) -> Benchmark:
    return benchmark(AGENT.policy, resized_tasks(task, [7]), [stem])


def target_rate(
    benchmarked: Benchmark, condition: str, stem: Candidate | None = None, steps: str | None = None
) -> float:
    return benchmarked.sizes[0].find(condition, stem, steps).outcomes().other.value


def test_the_edit_works_like_moving_the_goal_and_every_control_fails(benchmarked: Benchmark, stem: Candidate) -> None:
    none, moved = target_rate(benchmarked, trials.NONE), target_rate(benchmarked, trials.MOVED_CUE)
    assert target_rate(benchmarked, trials.EDIT, stem, trials.EVERY) > none + 0.3
    assert abs(target_rate(benchmarked, trials.EDIT, stem, trials.EVERY) - moved) < 0.12
    for condition in (trials.RANDOM, trials.PERMUTED, trials.OTHER_MAZE):
        assert abs(target_rate(benchmarked, condition, stem, trials.EVERY) - none) < 0.15
    assert target_rate(benchmarked, trials.EDIT, stem, trials.FIRST) < none + 0.15


def test_the_score_is_the_paired_difference_to_the_best_floor(benchmarked: Benchmark, stem: Candidate) -> None:
    (score,) = benchmarked.summary()
    own = benchmarked.sizes[0]
    floors = [own.find(trials.COMPASS)]
    floors += [own.find(name, stem, trials.EVERY) for name in (trials.FITTED_ABOVE, trials.FITTED_UNTRAINED)]
    rates = [float(one.reached_target[one.off_path].mean()) for one in floors]
    assert score.floor is floors[int(np.argmax(rates))]
    edit = float(score.edit.reached_target[score.edit.off_path].mean())
    assert score.above_floor.value == pytest.approx(edit - max(rates))
    assert score.above_floor.low > 0.1
    pictures = [own.find(name) for name in trials.PICTURES]
    assert score.reference.off_path_rate.value == max(one.off_path_rate.value for one in pictures)
    assert score.above_reference.high > -0.1
    without = dataclasses.replace(score, edit=own.find(trials.NONE))
    assert without.above_reference.high < 0


def test_strengths_and_footprints_are_varied(benchmarked: Benchmark, stem: Candidate) -> None:
    own = {
        (one.label.strength, one.label.footprint): one
        for one in benchmarked.sizes[0].trials
        if one.label.condition == trials.VARIANT
    }
    assert set(own) == {(s, side) for s in variants.STRENGTHS for side in (None, *variants.FOOTPRINTS)}
    plain = benchmarked.sizes[0].find(trials.EDIT, stem, trials.EVERY)
    assert np.array_equal(own[1.0, None].to_target, plain.to_target)
    # at a linear site whose kernel is 3x3, nine squares hold the whole pattern, and one square does not
    assert own[1.0, 3].off_path_rate.value == pytest.approx(plain.off_path_rate.value, abs=0.05)
    assert own[1.0, 1].off_path_rate.value < plain.off_path_rate.value - 0.2
    assert "x0.5" in benchmarked.text()


def test_rows_have_the_same_keys_and_bins_add_up(benchmarked: Benchmark) -> None:
    report = json.loads(json.dumps(benchmarked.json(), allow_nan=False))
    keys = {"condition", "site", "method", "steps", "size", "bin", "low", "high", "outcomes", "target_interval"}
    keys |= {"strength", "footprint"}
    assert all(keys | {"path_probability", "levels", "off_path"} == set(row) for row in report["rows"])
    assert {row["size"] for row in report["rows"]} == {7, 9}
    own = [row for row in report["rows"] if (row["condition"], row["size"]) == (trials.NONE, 9)]
    total = next(row for row in own if row["bin"] == bins.ALL)
    for name in (bins.DISTANCE, bins.OFF_PATH):
        parts = [row for row in own if row["bin"] == name]
        assert sum(row["levels"] for row in parts) == total["levels"] == 96
        reached = sum(row["levels"] * row["outcomes"]["target"] for row in parts)
        assert reached == pytest.approx(96 * total["outcomes"]["target"], abs=0.05)
    assert "restored bit for bit" in benchmarked.text()


def test_an_edit_whose_target_is_the_goal_has_no_side_effects(benchmarked: Benchmark) -> None:
    (effects,) = benchmarked.effects
    assert effects.restored
    assert effects.same_moves == 1.0
    assert effects.capability_change == 0.0
    assert effects.edited.bumps < 0.1
    assert 1.0 <= effects.edited.detour < 1.3
    levels = draw_retargeting_task(AGENT.family, 16, 0).levels
    one, other = (rollout(AGENT.policy, levels, seed=seed) for seed in (0, 1))
    assert not identical(one, other)


def test_the_behaviour_summary_equals_a_count_by_hand(task: RetargetingTask) -> None:
    trajectory = rollout(AGENT.policy, task.levels, seed=0)
    needed = pick(distances(task.levels, task.levels.start), task.goals)
    bumps, steps, ratios = 0, 0, []
    for b in range(len(task.levels)):
        cells = trajectory.agent[: trajectory.steps[b] + 1, b]
        bumps += int((cells[1:] == cells[:-1]).sum())
        steps += len(cells) - 1
        if cells[-1] == task.goals[b]:
            ratios.append((len(cells) - 1) / needed[b])
    summary = summarise_behaviour(trajectory, task.levels, task.goals)
    assert summary.bumps == pytest.approx(bumps / steps)
    assert summary.detour == pytest.approx(np.mean(ratios))
    assert summary.arrived == len(ratios) / len(task.levels)


def test_the_search_chooses_a_steering_edit_and_reports_its_cost(
    context: FitContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FIRST_MAZES", 8)
    monkeypatch.setattr(search, "LAST_MAZES", 48)
    selection = draw_retargeting_task(AGENT.family, 48, 1, FITTING)
    result = search.search(context, selection, ["block8", "stem"], ["probe-direction", "mean-pattern"])
    assert (result.chosen.site, result.chosen.method) == ("stem", "mean-pattern")
    counts = [one.candidates for one in result.rounds]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 2 * 2 * 9
    assert [one.mazes for one in result.rounds] == sorted(one.mazes for one in result.rounds)
    assert 0 < result.seconds == sum(one.seconds for one in result.rounds)
    assert result.rounds[-1].score > 0.6
    assert json.loads(json.dumps(result.json()))["chosen"]["oracle"] is False


def test_trained_methods_are_tried_late_at_the_best_sites(context: FitContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "FIRST_MAZES", 8)
    monkeypatch.setattr(search, "LAST_MAZES", 16)
    monkeypatch.setattr(search, "TRAINED_SITES", 1)
    monkeypatch.setattr(expert_pattern, "SCHEDULE", dataclasses.replace(expert_pattern.SCHEDULE, updates=8))
    selection = draw_retargeting_task(AGENT.family, 16, 1, FITTING)
    result = search.search(context, selection, ["block8", "stem"], ["mean-pattern", "expert-pattern"])
    assert [one.candidates for one in result.rounds] == [18, 6, 1, 3]
    assert result.rounds[2].best == "expert-pattern at stem, all channels, strength 1"
    with pytest.raises(GoalmazeError, match="unknown steering method"):
        search.search(context, selection, ["stem"], ["magic"])


def test_a_pattern_with_fewer_channels_keeps_the_largest(stem: Candidate) -> None:
    narrow = with_largest_channels(stem, 4)
    assert isinstance(stem.fitted_edit, GoalPattern)
    assert isinstance(narrow.fitted_edit, GoalPattern)
    sizes = stem.fitted_edit.at_target.flatten(1).norm(dim=1) + stem.fitted_edit.at_goal.flatten(1).norm(dim=1)
    assert set(narrow.channels or ()) == {int(c) for c in np.argsort(-sizes.numpy())[:4]}
    for channel in range(len(sizes)):
        assert bool(narrow.fitted_edit.at_target[channel].any()) == (channel in (narrow.channels or ()))


def test_the_ledger_separates_reading_from_steering(context: FitContext, task: RetargetingTask) -> None:
    methods = ["mean-pattern", "probe-direction", "unaligned-vector"]
    result = ledger(context, task, [("stem_relu", method) for method in methods])
    by_name = {one.method: one for one in result.entries}
    assert by_name["mean-pattern"].steers
    assert by_name["mean-pattern"].read.value > 0.9
    assert not by_name["probe-direction"].steers
    assert by_name["probe-direction"].read.value > 0.5
    assert by_name["unaligned-vector"].read.levels == 0
    assert "reading without control" in result.text()
    assert json.loads(json.dumps(result.json(), allow_nan=False))["ledger"][2]["read"] is None


def test_a_vector_field_is_the_mean_move_of_the_policy(task: RetargetingTask, stem: Candidate) -> None:
    one = task.with_targets(task.levels.take([0]), task.targets[:1])
    plain, edited = (vector_field(AGENT.policy, one.levels, edits) for edits in ([], stem.edits(one)))
    assert not task.levels.walls[0].ravel()[plain.cells].any()
    assert (np.abs(plain.arrows).sum(axis=1) <= 1 + 1e-6).all()
    assert np.abs(field_change(plain, edited)).max() > 0.5
    up, right, down, left = next(stepwise(AGENT.policy, one.levels)).probabilities[0]
    at_start = plain.arrows[plain.cells == one.levels.start[0]][0]
    np.testing.assert_allclose(at_start, [down - up, right - left], atol=1e-5)


def test_fitted_edits_are_evaluated_like_the_method_they_came_from(stem: Candidate) -> None:
    agent = dataclasses.replace(AGENT, name="in memory", header=None)
    options = {"levels": 24, "fit_levels": 128}
    by_name = retarget(agent, "mean-pattern", sites=["stem"], **options)
    by_object = retarget(agent, stem.fitted_edit, **options)
    assert by_name.header.agent == "in memory"
    assert by_object.chosen == ("stem", "mean-pattern")
    assert by_object.row("edit").outcomes == by_name.row("edit").outcomes
    assert by_object.row("edit").outcomes != by_object.row("none").outcomes
    both = retarget(agent, [stem, stem.fitted_edit, "mean-pattern"], sites=["stem"], **options)
    assert [row.method for row in both.rows if row.condition == "edit"] == [
        "mean-pattern-2",
        "mean-pattern-3",
        "mean-pattern",
    ]
    by_hand = retarget(agent, dataclasses.replace(stem.fitted_edit, method=""), **options)
    assert by_hand.chosen == ("stem", "GoalPattern")
    assert by_hand.row("edit").outcomes == by_name.row("edit").outcomes
    assert both.csv().startswith("condition,site,method,target,")
    with pytest.raises(GoalmazeError, match="leave sites out"):
        retarget(agent, stem.fitted_edit, sites=["stem"], **options)
    with pytest.raises(GoalmazeError, match="number of levels is 0: choose 1 or more"):
        retarget(agent, stem.fitted_edit, levels=0)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"sizes": (11,)}, "--sizes and --oracles belong to --benchmark"),
        ({"ledger": True, "auto": True}, "--ledger cannot be combined"),
    ],
)
def test_options_that_do_not_go_together_are_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(GoalmazeError, match=complaint):
        RetargetConfig(agent="zoo:green-exit", **wrong)  # type: ignore[arg-type]


def test_the_command_evaluates_and_draws(tmp_path: Path) -> None:
    config = RetargetConfig(
        agent="zoo:green-exit", levels=12, fit_levels=32, sites=("stem",), methods=("mean-pattern",), figures=tmp_path
    )
    report = command.run(config)
    assert isinstance(report, SteeringReport)
    assert [path.name for path in report.pictures] == [
        f"retarget-{name}.png" for name in ("field", "heat", "activations")
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in report.pictures)
    with pytest.raises(GoalmazeError, match="unknown steering method"):
        command.run(dataclasses.replace(config, methods=("magic",)))
