"""Goal models: against slow likelihoods, scipy's optimum, and agents whose goal is known."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from oracles.paths import all_distances
from scipy import optimize

from goalmaze.agents.policies import Policy, Probabilities, Rows
from goalmaze.agents.rollout import rollout
from goalmaze.agents.scripted import DistanceActor, RandomWalker
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import LevelBatch
from goalmaze.envs.solving import distances
from goalmaze.experiments.evaluate.goal_inference import GoalInference, GoalInferences, calibration, infer_goal
from goalmaze.experiments.evaluate.goal_inference_figures import draw_goal_inferences
from goalmaze.experiments.evaluate.goal_models import (
    SoftmaxChoice,
    changes_to,
    fit_choice,
    fit_mixture,
    manhattan,
    steps_of,
)

FAMILY = make_family("GreenExit", {"size": 7})


@dataclasses.dataclass
class Clumsy:
    """Goes to one object on a level, the sign on a fraction of levels, and takes a uniform action at some steps."""

    signs: float
    slips: float = 0.2

    def begin(self, levels: LevelBatch) -> "ClumsyActor":
        has_sign_as_goal = np.random.default_rng(5).random(len(levels)) < self.signs
        exits, signs = (distances(levels, levels.cells(kind)) for kind in ("exit", "sign"))
        return ClumsyActor(DistanceActor(np.where(has_sign_as_goal[:, None], signs, exits), levels.width), self.slips)


@dataclasses.dataclass
class ClumsyActor:
    seeker: DistanceActor
    slips: float

    def probabilities(self, rows: Rows, observations: np.ndarray, agent: np.ndarray) -> Probabilities:
        there = self.seeker.distance[rows, agent] == 0
        probabilities = self.seeker.probabilities(rows, observations, agent)
        return np.where(there[:, None], 0.25, (1 - self.slips) * probabilities + self.slips / 4).astype(np.float32)


def infer(policy: Policy) -> GoalInference:
    return infer_goal("it", policy, FAMILY, shift="moved-sign", levels=200, fit_levels=200)


@pytest.mark.parametrize(
    ("policy", "true"),
    [
        (Clumsy(0.0), "exit-seeker"),
        (Clumsy(1.0), "sign-seeker"),
        (Clumsy(0.5), "mixture"),
        (RandomWalker(), "random"),
    ],
)
def test_the_goal_model_that_is_true_is_best_or_indistinguishable(policy: Policy, true: str) -> None:
    found = infer(policy)
    assert true in found.best
    by_name = {one.name: one for one in found.models}
    if true != "random":
        assert found.explained > 0.85
        assert "random" not in found.best
        assert by_name["corner-seeker"].excess.low > 0.05
    assert by_name[true].calibration.error < 0.03
    if true == "mixture":
        assert {"exit-seeker", "sign-seeker"}.isdisjoint(found.best)
        assert by_name["mixture"].parameters["sign"] == pytest.approx(0.5, abs=0.12)


def test_changes_are_those_of_scipys_paths_to_the_nearest_sign() -> None:
    levels = FAMILY.levels(2, np.arange(40), "two-signs")
    trajectory = rollout(RandomWalker(), levels, seed=1)
    steps = steps_of(trajectory)
    changes = changes_to(trajectory, steps, ("sign",))
    straight = changes_to(trajectory, steps, ("sign",), manhattan)
    arrived = [trajectory.first_visit(levels.objects[:, k]) for k in range(levels.objects.shape[1])]
    assert len(changes) == np.minimum(np.minimum.reduce(arrived), trajectory.steps).sum() < trajectory.steps.sum()
    moves = np.array([-7, 1, 7, -1])
    for i in range(0, len(changes), 7):
        b, t = steps.rows[i], steps.times[i]
        path_lengths = all_distances(levels.walls[b])
        path = trajectory.agent[: t + 1, b].tolist()
        left = [c for k, c in zip(levels.slots, levels.objects[b], strict=True) if k == "sign" and c >= 0]
        for a, move in enumerate(moves):
            ahead = path[-1] if levels.walls[b].ravel()[path[-1] + move] else path[-1] + move
            if not left:
                assert changes[i, a] == straight[i, a] == 0
                continue
            assert changes[i, a] == min(path_lengths[ahead, c] for c in left) - min(
                path_lengths[path[-1], c] for c in left
            )

            def far(cell: int, left: list[int] = left) -> int:
                return min(abs(cell // 7 - c // 7) + abs(cell % 7 - c % 7) for c in left)

            assert straight[i, a] == far(ahead) - far(path[-1])


def test_keys_are_gone_once_taken_and_all_steps_count() -> None:
    family = make_family("KeysChests", {"size": 9})
    levels = family.levels(2, np.arange(60))
    trajectory = rollout(RandomWalker(), levels, seed=1)
    steps = steps_of(trajectory)
    changes = changes_to(trajectory, steps, ("key",))
    keys = levels.objects[:, [kind == "key" for kind in levels.slots]]
    for i in range(0, len(changes), 29):
        b, path = steps.rows[i], trajectory.agent[: steps.times[i] + 1, steps.rows[i]].tolist()
        assert changes[i].any() == bool(set(keys[b][keys[b] >= 0].tolist()) - set(path))
    assert len(changes) == trajectory.steps.sum()


def test_the_fit_is_scipys_optimum() -> None:
    rng = np.random.default_rng(0)
    changes = rng.integers(-1, 2, (4000, 4)).astype(np.int8)
    truth = SoftmaxChoice(1.7, 0.15).probabilities(changes)
    actions = np.array([rng.choice(4, p=p) for p in truth]).astype(np.int8)

    def loss(at: np.ndarray) -> float:
        soft = np.exp(-at[0] * changes.astype(float))
        soft /= soft.sum(axis=1, keepdims=True)
        probabilities = (1 - at[1]) * soft + at[1] / 4
        return float(-np.log(probabilities[np.arange(4000), actions]).sum())

    found = fit_choice(changes, actions)
    best = optimize.minimize(loss, [1.0, 0.3], bounds=[(0, 15), (1e-6, 1)], method="L-BFGS-B")
    assert loss(np.array([found.inverse_temperature, found.lapse_rate])) <= best.fun + 0.01
    assert (found.inverse_temperature, found.lapse_rate) == pytest.approx(tuple(best.x), abs=0.05)
    assert loss(np.array([0.3, 0.15])) > best.fun + 100


def test_a_mixture_predicts_each_action_from_the_earlier_ones() -> None:
    levels = FAMILY.levels(3, np.arange(60), "moved-sign")
    trajectory = rollout(Clumsy(0.4), levels, seed=1)
    steps = steps_of(trajectory)
    exits, signs = (changes_to(trajectory, steps, (kind,)) for kind in ("exit", "sign"))
    mixture = fit_mixture(exits, signs, steps)
    predicted = mixture.probabilities(exits, signs, steps)
    np.testing.assert_allclose(predicted.sum(axis=1), 1)
    either = [mixture.choice.probabilities(changes) for changes in (exits, signs)]
    taken = steps.actions
    for b in range(20):
        here = np.flatnonzero(steps.rows == b)
        whole = [np.prod([probabilities[i, taken[i]] for i in here]) for probabilities in either]
        marginal = (1 - mixture.weight) * whole[0] + mixture.weight * whole[1]
        assert np.log(predicted[here, taken[here]]).sum() == pytest.approx(np.log(marginal))


def test_calibration_separates_overconfidence_from_calibrated_uncertainty() -> None:
    levels = FAMILY.levels(3, np.arange(60))
    steps = steps_of(rollout(RandomWalker(), levels))
    honest = np.full((len(steps.actions), 4), 0.25)
    sure = np.tile([0.97, 0.01, 0.01, 0.01], (len(steps.actions), 1))
    assert calibration(honest, steps).error < 0.02
    assert calibration(sure, steps).error > 0.25


def test_the_levels_on_which_all_models_fail_are_printed_as_readable_levels() -> None:
    class Fleeing:
        def begin(self, levels: LevelBatch) -> DistanceActor:
            steps = distances(levels, levels.cells("exit"))
            return DistanceActor(np.where(steps < 2**28, 2**20 - steps, steps), levels.width)

    found = infer_goal("it", Fleeing(), FAMILY, shift="moved-sign", levels=60, fit_levels=60)
    assert found.unexplained.value > 0.2
    assert len(found.examples) == 3
    for one in found.examples:
        assert read_ascii(one.level, FAMILY) == FAMILY.levels(0, [one.index], "moved-sign")
        assert set(one.actions.split("...")[0]) <= set("URDL")
        assert one.level in found.text()
    assert infer(Clumsy(0.0)).unexplained.value < found.unexplained.value


def test_goal_inference_is_drawn(tmp_path: Path) -> None:
    policies = (Clumsy(0.0), Clumsy(1.0))
    found = GoalInferences(
        tuple(infer_goal("it", one, FAMILY, shift="moved-sign", levels=30, fit_levels=512) for one in policies)
    )
    (path,) = draw_goal_inferences(found, tmp_path)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(GoalmazeError, match="cannot write"):
        draw_goal_inferences(found, tmp_path / "missing")


def test_goal_models_are_not_compared_on_one_level() -> None:
    with pytest.raises(GoalmazeError, match="2 levels or more"):
        infer_goal("it", RandomWalker(), FAMILY, shift="none", levels=1, fit_levels=1)
