"""Retargeting and probes under a shift: whether they show which of goal and cue an agent pursues."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from goalmaze.agents.loading import Agent, load_agent
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.experiments.probe.by_site import probe
from goalmaze.experiments.probe.config import ProbeConfig
from goalmaze.experiments.retarget.comparison import RetargetReport, retarget
from goalmaze.experiments.retarget.config import RetargetConfig
from goalmaze.experiments.retarget.task import Moved, TaskLevels, draw_retargeting_task, levels_with_cue_on_goal
from goalmaze.experiments.retarget.trials import EDIT, MOVED_CUE, NONE
from goalmaze.probes.labels import label_concepts


@pytest.fixture(scope="module")
def sleeper() -> Agent:
    return load_agent("zoo:sleeper")


@functools.cache
def moved(shift: str, what: Moved) -> RetargetReport:
    sleeper = load_agent("zoo:sleeper")
    return retarget(
        sleeper, "mean-pattern", sites=["block1"], levels=128, fit_levels=128, size=7, shift=shift, moved=what
    )


@pytest.mark.parametrize(("shift", "pursued", "other"), [("lit", "goal", "cue"), ("unlit", "cue", "goal")])
def test_an_edit_moves_the_sleeper_from_what_it_pursues_and_not_from_the_other(
    shift: str, pursued: Moved, other: Moved
) -> None:
    right, wrong = moved(shift, pursued), moved(shift, other)
    gains = [report.row(EDIT).target_rate - report.row(NONE).target_rate for report in (right, wrong)]
    assert gains[0] > gains[1] + 0.1
    # Without an edit the agent goes to what it pursues, in both reports: in one as the goal, in the other before it.
    assert right.row(NONE).outcomes.overall.goal.value > 0.55
    counterpart = wrong.row(NONE).outcomes.counterpart
    assert counterpart is not None
    assert counterpart.value > 0.4
    assert right.json()["shift"] == shift
    assert f"{wrong.counterpart} before" in str(wrong)


def test_a_moved_sign_leads_a_sleeper_in_the_dark_alone() -> None:
    rates = {shift: moved(shift, "goal").row(MOVED_CUE).target_rate for shift in ("lit", "unlit")}
    assert rates["unlit"] > rates["lit"] + 0.3


@pytest.mark.parametrize("name", sorted(known_families()))
def test_tasks_are_drawn_under_every_shift_of_every_family(name: str) -> None:
    family = make_family(name)
    for shift in ("none", *family.shifts):
        task = draw_retargeting_task(family, 12, 0, drawn=TaskLevels(shift))
        assert task.levels == family.levels(0, range(12), shift)
        assert np.array_equal(task.goals, task.levels.cells(family.goal))
        assert (task.targets != ABSENT).all()
        assert not (task.targets[:, None] == task.levels.objects).any()
    task = draw_retargeting_task(family, 12, 0, drawn=TaskLevels(family.distinguishing_shift, "cue"))
    assert np.array_equal(task.move.goals, task.levels.cells(family.cue))
    # Without a shift the levels are those of before: training levels with the cue on the goal.
    assert draw_retargeting_task(family, 12, 0).levels == levels_with_cue_on_goal(family, 12, 0, "evaluation")


def test_what_is_not_there_cannot_be_moved() -> None:
    with pytest.raises(GoalmazeError, match="levels of shift no-sign hold no sign that an edit could move"):
        draw_retargeting_task(make_family("GreenExit"), 4, 0, drawn=TaskLevels("no-sign", "cue"))
    with pytest.raises(GoalmazeError, match="--moved cue needs --shift"):
        RetargetConfig(agent="zoo:sleeper", moved="cue")


def test_probes_are_fitted_under_one_shift_and_evaluated_under_another(sleeper: Agent) -> None:
    options = {"targets": ["sign"], "sites": ["block1"], "levels": 48, "fit_levels": 96, "size": 7}
    report = probe(sleeper, **options, shift="unlit", fit_shift="lit").json()
    assert (report["fit_shift"], report["shift"]) == ("lit", "unlit")
    other = probe(sleeper, **options, shift="unlit").json()
    assert other["fit_shift"] == "none"
    assert other["sites"][0]["score"] != report["sites"][0]["score"]
    with pytest.raises(GoalmazeError, match="--fit-shift needs --shift"):
        ProbeConfig(agent="zoo:sleeper", fit_shift="lit")


def test_which_goal_is_pursued_has_both_answers_in_training_levels_and_mostly_one_in_each_shift(sleeper: Agent) -> None:
    family, rates = sleeper.family.resized(7), {}
    for shift in ("none", "lit", "unlit"):
        levels = family.levels(0, range(200), shift)
        values = label_concepts(["pursues"], sleeper.policy, levels, 0)["pursues"].values
        rates[shift] = float((values[values >= 0] == 1).float().mean())
    assert rates["lit"] < 0.35 < rates["none"] < 0.65 < rates["unlit"]
