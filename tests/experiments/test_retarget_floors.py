"""Floors of the benchmark: a method that finds the way itself is convicted, and a control without power acquits it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import NEVER, rollout
from goalmaze.agents.scripted import Seeker
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.views import make_view
from goalmaze.experiments.retarget import trials
from goalmaze.experiments.retarget.candidates import Candidate, fit_candidate, with_footprint
from goalmaze.experiments.retarget.floors import compass_trial, fitted_floors
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task, make_fit_context
from goalmaze.experiments.retarget.trials import TrialLabel, run_trial
from goalmaze.probes.edits.patterns import GoalPattern, middle
from goalmaze.probes.edits.training_batch import Schedule
from goalmaze.probes.steering import pointwise_network

FAMILY = make_family("GreenExit", {"size": 5})


def untrained(seed: int) -> NetworkPolicy:
    network = make_network("grid", Shape.seeing(make_view(FAMILY)), {"channels": 8, "blocks": 1, "hidden": 16})
    return NetworkPolicy(network.untrained(seed))


@pytest.fixture(scope="module")
def task() -> RetargetingTask:
    return draw_retargeting_task(FAMILY, 256, 0)


@pytest.fixture(scope="module")
def walker() -> Candidate:
    """Return a method with many parameters, fitted to a network that has learned nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pointwise_network, "SCHEDULE", Schedule(updates=300, batch=64, learning_rate=0.03))
        return fit_candidate(make_fit_context(untrained(1), FAMILY, 256, 0), "block1", "pointwise-network")


def test_fitting_anew_convicts_a_method_that_steers_an_untrained_network(
    task: RetargetingTask, walker: Candidate
) -> None:
    own, other = untrained(1), untrained(2)
    edits = walker.edits(task)
    without = run_trial(TrialLabel(trials.NONE), task, own).off_path_rate
    fitted = run_trial(TrialLabel(trials.FITTED_UNTRAINED), task, own, edits).off_path_rate
    # nothing was learned there, so whatever is gained was found by the method
    assert fitted.value > without.value + 0.08
    # the control that keeps the edit and exchanges the network shows nothing of it
    kept = run_trial(TrialLabel(trials.EDIT), task, other, edits).off_path_rate
    assert kept.value < run_trial(TrialLabel(trials.NONE), task, other).off_path_rate.value


def test_the_floors_are_fitted_to_the_untrained_networks(task: RetargetingTask) -> None:
    agent = untrained(3)
    candidate = fit_candidate(make_fit_context(agent, FAMILY, 64, 0), "stem", "mean-pattern")
    results = {one.label.condition: one for one in fitted_floors(agent, task, candidate)}
    assert set(results) == {
        trials.UNTRAINED_ABOVE,
        trials.FITTED_ABOVE,
        trials.UNTRAINED_NETWORK,
        trials.FITTED_UNTRAINED,
    }
    network = NetworkPolicy(agent.network.untrained(task.seed))
    anew = candidate.refitted(network)
    assert anew is not None
    assert isinstance(anew.fitted_edit, GoalPattern)
    assert isinstance(candidate.fitted_edit, GoalPattern)
    assert not torch.equal(anew.fitted_edit.at_target, candidate.fitted_edit.at_target)
    label = TrialLabel(trials.FITTED_UNTRAINED)
    again = run_trial(label, task, network, anew.edits(task))
    assert np.array_equal(again.to_target, results[trials.FITTED_UNTRAINED].to_target)
    given = dataclasses.replace(candidate, context=None)
    assert given.refitted(network) is None
    assert list(fitted_floors(agent, task, given)) == []


def test_the_compass_reaches_some_targets_and_has_no_path_probability(task: RetargetingTask) -> None:
    compass = compass_trial(task)
    assert 0.3 < compass.off_path_rate.value < 0.95
    assert np.isnan(compass.path).all()


def test_the_third_picture_puts_a_wall_on_the_old_goal_and_changes_nothing_else(task: RetargetingTask) -> None:
    both, walled = task.levels_with_goal_moved(), task.levels_with_old_goal_walled()
    assert np.array_equal(both.objects, walled.objects)
    assert np.array_equal(both.start, walled.start)
    different = (both.walls != walled.walls).reshape(len(both), -1)
    rows, cells = np.nonzero(different)
    assert np.array_equal(rows, np.arange(len(both)))
    assert np.array_equal(cells, task.goals)
    walled.check()
    # a policy that sees the wall goes around it; where it cannot, it reaches neither
    trajectory = rollout(Seeker(FAMILY.goal), walled, seed=0, until=task.targets)
    never = NEVER
    assert (trajectory.first_visit(task.goals) == never).all()
    assert (trajectory.first_visit(task.targets)[task.off_path] < never).all()


def test_a_footprint_is_the_middle_of_the_pattern(task: RetargetingTask) -> None:
    pattern = torch.arange(2 * 9 * 9, dtype=torch.float32).reshape(2, 9, 9)
    assert middle(pattern, 1).flatten().tolist() == [pattern[0, 4, 4], pattern[1, 4, 4]]
    assert torch.equal(middle(pattern, 3), pattern[:, 3:6, 3:6])
    assert torch.equal(middle(pattern, 11), pattern)
    candidate = fit_candidate(make_fit_context(untrained(3), FAMILY, 64, 0), "stem", "mean-pattern")
    (edit,) = with_footprint(candidate, 3).edits(task)
    touched = torch.as_tensor(edit.delta).abs().sum(1) > 0  # type: ignore[attr-defined]
    assert int(touched.flatten(1).sum(1).max()) <= 18
