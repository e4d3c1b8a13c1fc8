"""Choices at decision points: against scipy's paths, another solver of scikit-learn, and scripted agents."""

import numpy as np
import pytest
from oracles.paths import all_distances
from sklearn.linear_model import LogisticRegression

from goalmaze.agents.policies import Policy
from goalmaze.agents.rollout import rollout
from goalmaze.agents.scripted import DistanceActor, RandomWalker, Seeker
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.experiments.evaluate.decision_features import FEATURES, features
from goalmaze.experiments.evaluate.decisions import decisions, require_still
from goalmaze.experiments.evaluate.regression import Regression, fit_logistic, regress

FAMILY = make_family("GreenExit", {"size": 9})


class Nearest:
    """Goes to the nearer of exit and sign."""

    def begin(self, levels: LevelBatch) -> DistanceActor:
        exits, signs = (distances(levels, levels.cells(kind)) for kind in ("exit", "sign"))
        rows = np.arange(len(levels))
        to_sign = signs[rows, levels.start] < exits[rows, levels.start]
        return DistanceActor(np.where(to_sign[:, None], signs, exits), levels.width)


def test_a_decision_point_is_where_no_shortest_first_step_is_shared() -> None:
    levels = FAMILY.levels(0, np.arange(150), "moved-sign")
    trajectory = rollout(RandomWalker(), levels, seed=3)
    found = decisions(trajectory)
    decided = dict(zip(found.rows.tolist(), found.steps.tolist(), strict=True))
    moves = np.array([-9, 1, 9, -1])
    for b in range(len(levels)):
        path_lengths = all_distances(levels.walls[b])
        exit_, sign, start = levels.cells("exit")[b], levels.cells("sign")[b], levels.start[b]
        expected = None
        sign_direct = path_lengths[start, exit_] + path_lengths[exit_, sign] > path_lengths[start, sign]
        if sign_direct and path_lengths[start, sign] + path_lengths[sign, exit_] > path_lengths[start, exit_]:
            for step in range(int(trajectory.steps[b])):
                cell = trajectory.agent[step, b]
                if cell in (exit_, sign):
                    break
                first = [
                    {int(m) for m in moves if path_lengths[cell + m, to] == path_lengths[cell, to] - 1}
                    for to in (exit_, sign)
                ]
                if not first[0] & first[1]:
                    expected = step
                    break
        assert decided.get(b) == expected
    assert 20 < len(found) < 150


def test_seekers_choose_what_they_seek() -> None:
    levels = FAMILY.levels(1, np.arange(200), "moved-sign")
    for kind, label in (("exit", 0), ("sign", 1)):
        found = decisions(rollout(Seeker(kind), levels))
        assert (found.chose == label).all()
        assert (found.move == label).all()
    walker = decisions(rollout(RandomWalker(), levels))
    assert set(walker.move) == {-1, 0, 1}


def test_features_have_names_and_lengths_are_paths() -> None:
    levels = FAMILY.levels(1, np.arange(100), "moved-sign")
    found = decisions(rollout(RandomWalker(), levels))
    rows = features(levels, found)
    assert rows.shape == (len(found), len(FEATURES))
    assert len(set(FEATURES)) == len(FEATURES)
    for i, (b, cell) in enumerate(zip(found.rows, found.cells, strict=True)):
        path_lengths = all_distances(levels.walls[b])
        assert rows[i, 0] * 9 == pytest.approx(path_lengths[cell, levels.cells("exit")[b]])
        assert rows[i, 1] * 9 == pytest.approx(path_lengths[cell, levels.cells("sign")[b]])
        straight = np.hypot(*np.subtract(divmod(int(cell), 9), divmod(int(levels.cells("sign")[b]), 9)))
        assert rows[i, FEATURES.index("Euclidean distance to cue")] * 9 == pytest.approx(straight)


@pytest.mark.parametrize("ridge", [0.5, 20.0])
def test_the_model_is_the_penalised_maximum_of_likelihood(ridge: float) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 6)) * [1, 5, 0.1, 1, 1, 1] + 3
    labels = (rng.random(300) < 1 / (1 + np.exp(-(rows[:, 1] - 3 + 4 * rows[:, 3] - 12)))).astype(np.int8)
    ours = fit_logistic(rows, labels, ridge)
    standard = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    theirs = LogisticRegression(C=1 / ridge, tol=1e-10, max_iter=10_000).fit(standard, labels)
    np.testing.assert_allclose(ours.weights, theirs.coef_[0], atol=1e-4)
    np.testing.assert_allclose(ours.probabilities(rows), theirs.predict_proba(standard)[:, 1], atol=1e-4)
    errors = ours.probabilities(rows) - labels
    np.testing.assert_allclose(standard.T @ errors + ridge * ours.weights, 0, atol=1e-5)
    assert abs(errors.sum()) < 1e-5


def test_separable_choices_and_constant_features_leave_the_fit_finite() -> None:
    rows = np.column_stack([np.linspace(-1, 1, 50), np.ones(50)])
    model = fit_logistic(rows, (rows[:, 0] > 0).astype(np.int8))
    assert np.isfinite(model.weights).all()
    assert ((model.probabilities(rows) > 0.5) == (rows[:, 0] > 0)).mean() > 0.95


def test_choices_that_follow_from_geometry_are_predicted_and_random_ones_are_not() -> None:
    def regression(policy: Policy) -> Regression:
        return regress("it", policy, FAMILY, shift="moved-sign", levels=400, fit_levels=1200)

    nearest = regression(Nearest())
    assert nearest.accuracy.low > 0.9
    assert nearest.base_rate.high < 0.8
    assert nearest.p_value < 0.01
    seeker = regression(Seeker("sign"))
    assert seeker.accuracy.value == seeker.base_rate.value == 1
    random = regression(RandomWalker())
    assert random.accuracy.low < 0.8
    assert random.repeats.high < 0.9


def test_too_few_choices_are_refused() -> None:
    with pytest.raises(GoalmazeError, match="0 choices between exit and sign"):
        regress("it", Seeker("exit"), FAMILY, shift="none", levels=20, fit_levels=100)


def test_a_moving_goal_is_refused() -> None:
    class Led(type(make_family("FollowLeader"))):  # type: ignore[misc]
        goal = "leader"

    with pytest.raises(GoalmazeError, match="the leader moves"):
        require_still(Led())
    require_still(FAMILY)
