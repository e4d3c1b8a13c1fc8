"""Benchmark, controls, search and ledger on a shipped agent: effects that a broken one would not show."""

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
from goalmaze.experiments.retarget import bins, command, search, trials
from goalmaze.experiments.retarget.benchmark import Benchmark, benchmark, draw_errands
from goalmaze.experiments.retarget.candidates import Candidate, find_candidate, narrowed
from goalmaze.experiments.retarget.comparison import make_fit_context
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.retarget.figures import field_of
from goalmaze.experiments.retarget.ledger import keep_ledger
from goalmaze.experiments.retarget.side_effects import conduct, identical
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering import expert_pattern

AGENT = load_agent("zoo:green-exit")


@pytest.fixture(scope="module")
def context() -> FitContext:
    return make_fit_context(AGENT.policy, AGENT.family, 128, 0)


@pytest.fixture(scope="module")
def stem(context: FitContext) -> Candidate:
    return find_candidate(context, "stem", "mean-pattern")


@pytest.fixture(scope="module")
def task() -> RetargetingTask:
    return draw_retargeting_task(AGENT.family, 96, 0)


@pytest.fixture(scope="module")
def judged(task: RetargetingTask, stem: Candidate) -> Benchmark:
    return benchmark(AGENT.policy, draw_errands(task, [7]), [stem])


def share(report: Benchmark, condition: str, stem: Candidate | None = None, steps: str | None = None) -> float:
    return report.sizes[0].find(condition, stem, steps).outcomes().other.value


def test_the_edit_does_what_moving_does_and_every_control_fails(judged: Benchmark, stem: Candidate) -> None:
    none, moved = share(judged, trials.NONE), share(judged, trials.MOVED_CUE)
    assert share(judged, trials.EDIT, stem, trials.EVERY) > none + 0.3
    assert abs(share(judged, trials.EDIT, stem, trials.EVERY) - moved) < 0.12
    for condition in (trials.RANDOM, trials.OTHER_MAZE):
        assert abs(share(judged, condition, stem, trials.EVERY) - none) < 0.15
    assert share(judged, trials.EDIT, stem, trials.FIRST) < none + 0.15


def test_under_layers_that_were_never_trained_the_same_edit_steers_nowhere(judged: Benchmark, stem: Candidate) -> None:
    blank = share(judged, trials.UNTRAINED_NONE, stem, trials.EVERY)
    assert abs(share(judged, trials.UNTRAINED, stem, trials.EVERY) - blank) < 0.12
    assert share(judged, trials.UNTRAINED, stem, trials.EVERY) < share(judged, trials.EDIT, stem, trials.EVERY) - 0.3


def test_the_verdict_compares_the_same_mazes_in_pairs(judged: Benchmark) -> None:
    (verdict,) = judged.verdicts()
    clear = verdict.edit.off_path
    assert verdict.ratio == pytest.approx(verdict.edit.hits[clear].sum() / verdict.mark.hits[clear].sum())
    assert not verdict.beats
    assert verdict.p > 0.05
    none = dataclasses.replace(verdict, mark=judged.sizes[0].find(trials.NONE))
    assert none.beats
    assert none.p < 0.01


def test_rows_have_one_form_and_bins_add_up(judged: Benchmark) -> None:
    report = json.loads(json.dumps(judged.json(), allow_nan=False))
    keys = {"condition", "site", "method", "steps", "size", "bin", "low", "high", "outcomes", "target_interval"}
    assert all(keys | {"path_probability", "levels", "off_path"} == set(row) for row in report["rows"])
    assert {row["size"] for row in report["rows"]} == {7, 9}
    own = [row for row in report["rows"] if (row["condition"], row["size"]) == (trials.NONE, 9)]
    whole = next(row for row in own if row["bin"] == bins.ALL)
    for name in (bins.DISTANCE, bins.OFF_PATH):
        parts = [row for row in own if row["bin"] == name]
        assert sum(row["levels"] for row in parts) == whole["levels"] == 96
        hits = sum(row["levels"] * row["outcomes"]["target"] for row in parts)
        assert hits == pytest.approx(96 * whole["outcomes"]["target"], abs=0.05)
    assert "restored bit for bit" in judged.text()


def test_an_edit_whose_target_is_the_goal_changes_nothing_and_leaves_nothing_behind(judged: Benchmark) -> None:
    (found,) = judged.effects
    assert found.restored
    assert found.same_moves == 1.0
    assert found.capability_change == 0.0
    assert found.edited.bumps < 0.1
    assert 1.0 <= found.edited.detour < 1.3
    levels = draw_retargeting_task(AGENT.family, 16, 0).levels
    one, other = (rollout(AGENT.policy, levels, seed=seed) for seed in (0, 1))
    assert not identical(one, other)


def test_conduct_is_counted_by_hand(task: RetargetingTask) -> None:
    trajectory = rollout(AGENT.policy, task.levels, seed=0)
    needed = pick(distances(task.levels, task.levels.start), task.goals)
    bumps, taken, ratios = 0, 0, []
    for b in range(len(task.levels)):
        cells = trajectory.agent[: trajectory.steps[b] + 1, b]
        bumps += int((cells[1:] == cells[:-1]).sum())
        taken += len(cells) - 1
        if cells[-1] == task.goals[b]:
            ratios.append((len(cells) - 1) / needed[b])
    found = conduct(trajectory, task.levels, task.goals)
    assert found.bumps == pytest.approx(bumps / taken)
    assert found.detour == pytest.approx(np.mean(ratios))
    assert found.arrived == len(ratios) / len(task.levels)


def test_the_search_prefers_what_steers_and_says_what_it_cost(
    context: FitContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEWEST", 8)
    monkeypatch.setattr(search, "MOST", 48)
    rehearsal = draw_retargeting_task(AGENT.family, 48, 1, FITTING)
    found = search.search(context, rehearsal, ["block8", "stem"], ["probe-direction", "mean-pattern"])
    assert (found.chosen.site, found.chosen.method) == ("stem", "mean-pattern")
    counts = [one.candidates for one in found.rounds]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 2 * 2 * 9
    assert [one.mazes for one in found.rounds] == sorted(one.mazes for one in found.rounds)
    assert 0 < found.seconds == sum(one.seconds for one in found.rounds)
    assert found.rounds[-1].score > 0.6
    assert json.loads(json.dumps(found.json()))["chosen"]["upper_bound"] is False


def test_what_learns_is_let_in_late_at_the_sites_that_are_left(
    context: FitContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "FEWEST", 8)
    monkeypatch.setattr(search, "MOST", 16)
    monkeypatch.setattr(search, "SITES_LEFT", 1)
    monkeypatch.setattr(expert_pattern, "UPDATES", 8)
    rehearsal = draw_retargeting_task(AGENT.family, 16, 1, FITTING)
    found = search.search(context, rehearsal, ["block8", "stem"], ["mean-pattern", "expert-pattern"])
    assert [one.candidates for one in found.rounds] == [18, 6, 1, 3]
    assert found.rounds[2].best == "expert-pattern at stem, all channels, strength 1"
    with pytest.raises(GoalmazeError, match="unknown steering method"):
        search.search(context, rehearsal, ["stem"], ["magic"])


def test_a_pattern_narrowed_to_channels_keeps_the_largest(stem: Candidate) -> None:
    assert isinstance(stem.found, GoalPattern)
    pattern, kept = narrowed(stem.found, 4)
    sizes = stem.found.arriving.flatten(1).norm(dim=1) + stem.found.leaving.flatten(1).norm(dim=1)
    assert set(kept) == {int(c) for c in np.argsort(-sizes.numpy())[:4]}
    for channel in range(len(sizes)):
        assert bool(pattern.arriving[channel].any()) == (channel in kept)


def test_the_ledger_tells_reading_from_control(context: FitContext, task: RetargetingTask) -> None:
    methods = ["mean-pattern", "probe-direction", "unaligned-vector"]
    kept = keep_ledger(context, task, [("stem_relu", method) for method in methods])
    by_name = {one.method: one for one in kept.entries}
    assert by_name["mean-pattern"].steers
    assert by_name["mean-pattern"].read.value > 0.9
    assert not by_name["probe-direction"].steers
    assert by_name["probe-direction"].read.value > 0.5
    assert by_name["unaligned-vector"].read.levels == 0
    assert "reading without control" in kept.text()
    assert json.loads(json.dumps(kept.json(), allow_nan=False))["ledger"][2]["read"] is None


def test_a_vector_field_points_where_the_agent_goes(task: RetargetingTask, stem: Candidate) -> None:
    plain, edited = field_of(AGENT.policy, task, 0), field_of(AGENT.policy, task, 0, stem.edits(task))
    free = np.isfinite(plain[:, 0])
    assert not free[task.levels.walls[0].ravel()].any()
    assert (np.abs(plain[free]).sum(axis=1) <= 1 + 1e-6).all()
    assert np.abs(edited - plain)[free].max() > 0.5
    start = int(task.levels.start[0])
    chances = next(stepwise(AGENT.policy, task.levels.take([0]))).probabilities[0]
    np.testing.assert_allclose(plain[start], [chances[1] - chances[3], chances[2] - chances[0]], atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"sizes": (11,)}, "--sizes and --bounds belong to --benchmark"),
        ({"ledger": True, "auto": True}, "--ledger is an answer of its own"),
        ({"figures": Path("no/such/folder")}, "there is no such folder"),
    ],
)
def test_what_does_not_go_together_is_refused(wrong: dict[str, object], complaint: str) -> None:
    with pytest.raises(GoalmazeError, match=complaint):
        RetargetConfig(agent="zoo:green-exit", **wrong)  # type: ignore[arg-type]


def test_the_command_judges_and_draws(tmp_path: Path) -> None:
    config = RetargetConfig(
        agent="zoo:green-exit", levels=12, fit_levels=32, sites=("stem",), methods=("mean-pattern",), figures=tmp_path
    )
    report = command.run(config)
    assert isinstance(report, command.SteeringReport)
    assert [path.name for path in report.pictures] == [
        f"retarget-{name}.png" for name in ("field", "heat", "activations")
    ]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in report.pictures)
    with pytest.raises(GoalmazeError, match="unknown steering method"):
        command.run(dataclasses.replace(config, methods=("magic",)))
