"""Explanations of decisions: closed forms of Shapley values, gradients of linear networks, valid counterfactuals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goalmaze.agents.loading import load_agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family
from goalmaze.envs.solving import distances, pick
from goalmaze.probes.decisions.elements import in_words
from goalmaze.probes.decisions.method import Study, gradients
from goalmaze.probes.decisions.methods.shapley import shapley_values
from goalmaze.probes.decisions.moments import decisions_at, drawn_decisions
from goalmaze.probes.decisions.registry import decision_methods, find_decision_method


@pytest.fixture
def study(policy: NetworkPolicy, family: Family) -> Study:
    return Study.of(drawn_decisions(policy, family.levels(0, count=6, shift="moved-sign"), seed=0))


def test_shapley_values_of_games_with_a_known_solution() -> None:
    numbers = np.arange(8)
    members = (numbers[:, None] >> np.arange(3) & 1).astype(float)
    additive = members @ [1.0, -2.0, 0.5]
    # Two left gloves and one right glove: a pair is worth 1.
    gloves = np.minimum(members[:, 0] + members[:, 1], members[:, 2]).clip(max=1)
    majority = (members.sum(axis=1) >= 2).astype(float)
    values = shapley_values(np.stack([additive, gloves, majority]))
    np.testing.assert_allclose(values, [[1, -2, 0.5], [1 / 6, 1 / 6, 4 / 6], [1 / 3] * 3])


def test_attributions_add_up_to_the_margin_that_all_elements_make(study: Study) -> None:
    rows = np.arange(len(study.decisions))
    nothing = study.left_out(rows, np.zeros((len(rows), study.most), np.bool_))
    difference = study.margins - study.decisions.margins_of(nothing, rows)
    shapley = find_decision_method("shapley").attributions(study)
    np.testing.assert_allclose(shapley.sum(axis=1), difference, atol=1e-4)
    # A sum over sixteen points of a line, so not exact.
    integrated = find_decision_method("integrated-gradients").attributions(study)
    np.testing.assert_allclose(integrated.sum(axis=1), difference, atol=0.15 * np.abs(difference).max())
    assert np.corrcoef(integrated.sum(axis=1), difference)[0, 1] > 0.99


def test_all_methods_agree_where_the_network_is_linear(linear: NetworkPolicy, family: Family) -> None:
    """The margin of a linear network is linear as long as the second-best action stays the same."""
    study = Study.of(drawn_decisions(linear, family.levels(0, count=12, shift="moved-sign"), seed=0))
    cases, decisions = study.counterfactuals, study.decisions

    def second(observations: torch.Tensor, rows: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logs = decisions.outputs(observations, rows)[0].numpy()
        logs[np.arange(len(rows)), decisions.actions[rows]] = -np.inf
        return np.asarray(logs.argmax(axis=1))

    same = (
        second(study.counterfactual_observations, cases.rows)
        == second(decisions.observations, np.arange(12))[cases.rows]
    )
    actual = decisions.margins_of(study.counterfactual_observations, cases.rows) - study.margins[cases.rows]
    assert same.sum() > 20
    gradient = find_decision_method("policy-gradient").effects(study)
    np.testing.assert_allclose(gradient[same], actual[same], atol=1e-4)
    # The value is linear everywhere.
    slopes = gradients(decisions, decisions.observations, of_value=True)
    change = study.counterfactual_observations - decisions.observations[torch.from_numpy(cases.rows)]
    with torch.inference_mode():
        values = decisions.outputs(study.counterfactual_observations, cases.rows)[1]
        before = decisions.outputs(decisions.observations, np.arange(12))[1][torch.from_numpy(cases.rows)]
    torch.testing.assert_close((slopes[torch.from_numpy(cases.rows)] * change).flatten(1).sum(1), values - before)


def test_a_patch_of_the_same_level_changes_nothing(study: Study) -> None:
    method = find_decision_method("patching")
    assert np.abs(method.effects(study)).max() > 1e-3
    rows, numbers = study.places
    unchanged = method._changes(  # type: ignore[attr-defined]
        study, study.decisions.observations[torch.from_numpy(rows)], rows, np.array([[0, ABSENT]] * len(rows))
    )
    np.testing.assert_allclose(unchanged, 0, atol=1e-5)
    assert len(numbers) == len(rows)


def test_counterfactuals_change_what_they_say_and_nothing_else(study: Study) -> None:
    cases, states = study.counterfactuals, study.decisions.states
    assert len(cases) > 30
    for m in range(len(cases)):
        b = int(cases.rows[m])
        element = study.elements[b][int(cases.elements[m])]
        before, after = states.take([b]), cases.states.take([m])
        toggled = np.flatnonzero(before.walls.ravel() != after.walls.ravel())
        assert (after.start == before.start).all()
        if element.type == "object":
            assert not len(toggled)
            moved = np.flatnonzero(before.objects[0] != after.objects[0])
            assert moved.tolist() == [element.slot]
            assert after.objects[0, element.slot] == cases.changed[m, 1]
        else:
            assert toggled.tolist() == [element.cell]
            assert bool(after.walls.ravel()[element.cell]) == (element.type == "corridor")
            steps = distances(after, after.start)
            ends = [pick(steps, after.cells(kind))[0] for kind in ("exit", "sign")]
            assert element.type == "wall" or min(ends) < UNREACHABLE
        after.check_playable()


def test_flips_are_what_the_policy_does_in_each_counterfactual(study: Study) -> None:
    policy, cases = study.decisions.policy, study.counterfactuals
    for m in (0, 7, 19):
        alone = decisions_at(policy, cases.states.take([m]), np.zeros(1, np.int64))
        assert study.flips[m] == (alone.actions[0] != study.decisions.actions[cases.rows[m]])


@pytest.mark.parametrize("name", ["zoo:green-exit-faint", "zoo:green-exit-lstm"])
def test_decisions_are_those_of_the_rollout_with_its_memory(name: str) -> None:
    agent = load_agent(name)
    levels = agent.family.levels(5, count=6)
    played = rollout(agent.policy, levels, seed=3)
    steps = np.minimum(played.steps - 1, np.arange(6)).astype(np.int64)
    found = decisions_at(agent.policy, levels, steps, seed=3)
    rows = np.arange(6)
    assert (found.states.start == played.agent[steps, rows]).all()
    taken = played.actions[steps, rows]
    np.testing.assert_allclose(found.probabilities[rows, taken], played.action_probabilities[steps, rows], atol=1e-6)
    # Run again from observation and memory alone.
    with torch.inference_mode():
        again = found.outputs(found.observations, rows)[0].exp().numpy()
    np.testing.assert_allclose(again, found.probabilities, atol=1e-4)
    with pytest.raises(GoalmazeError, match="ends before step"):
        decisions_at(agent.policy, levels, np.full(6, 10_000), seed=3)


def test_elements_read_as_words(study: Study) -> None:
    states = study.decisions.states
    sentences = [in_words(element, states, b) for b, own in enumerate(study.elements) for element in own]
    assert any(text.startswith("the sign") for text in sentences)
    assert all("step" in text or "reach" in text for text in sentences)


def test_every_method_scores_every_counterfactual(study: Study) -> None:
    for name, method in decision_methods().items():
        scores, attributions = method.scores(study), method.attributions(study)
        assert scores.shape == (len(study.counterfactuals),), name
        assert np.isfinite(scores).all(), name
        assert attributions.shape == (len(study.decisions), study.most), name
