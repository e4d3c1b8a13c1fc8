"""Ensembles that ask: when they do, what the overseer answers, and what they cost."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from complaints import complaint
from scipy.spatial.distance import jensenshannon
from stacked_zoo import make_population

import goalmaze as gm
from goalmaze.agents.asking import AskingEnsemble, disagreement, entropy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.solving import distances
from goalmaze.experiments.evaluate import ensemble
from goalmaze.experiments.evaluate.ensemble import ALWAYS, NEVER, ask_for_help

CUE, GOAL = "zoo:green-exit", "zoo:green-exit-twin"


def test_disagreement_is_the_divergence_of_jensen_and_shannon() -> None:
    one = np.random.default_rng(0).dirichlet(np.ones(4), size=(2, 5))
    expected = [jensenshannon(one[0, i], one[1, i]) ** 2 for i in range(5)]
    np.testing.assert_allclose(disagreement(one), expected, atol=1e-12)
    certain = np.eye(4)[[0, 0, 3, 3]][:, None]
    assert disagreement(certain)[0] == pytest.approx(math.log(2))
    assert disagreement(certain[:2])[0] == 0
    assert entropy(np.full(4, 0.25)) == pytest.approx(math.log(4))


def test_without_questions_one_member_acts_as_it_does_alone_and_always_asking_takes_shortest_paths() -> None:
    agent = gm.load(CUE)
    levels = agent.family.levels(0, count=40, shift="moved-sign")
    silent = AskingEnsemble([agent.policy], NEVER)
    np.testing.assert_array_equal(rollout(silent, levels).actions, rollout(agent.policy, levels).actions)
    assert silent.questions.sum() == 0
    asking = AskingEnsemble([agent.policy, gm.load(GOAL).policy], ALWAYS)
    played = rollout(asking, levels)
    exits = levels.cells("exit")
    assert (exits != ABSENT).all()
    np.testing.assert_array_equal(played.steps, distances(levels, exits)[np.arange(40), levels.start])
    np.testing.assert_array_equal(asking.questions, played.steps)


def test_random_questions_are_as_many_as_they_should_be_and_depend_on_no_other_episode() -> None:
    policy = AskingEnsemble([gm.load(CUE).policy], 0.7, "random", seed=3)
    policy.steps = np.zeros(4000, np.int64)
    rows = np.arange(4000)
    own = np.full((1, 4000, 4), 0.25)
    asked = policy.asks(own, rows, policy.steps)
    assert asked.mean() == pytest.approx(0.3, abs=0.03)
    half = rows[::2]
    np.testing.assert_array_equal(policy.asks(own[:, ::2], half, policy.steps[half]), asked[::2])
    assert (policy.asks(own, rows, policy.steps + 1) != asked).any()


def test_questions_buy_goals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble, "DISAGREEMENTS", (NEVER, 0.1, ALWAYS))
    monkeypatch.setattr(ensemble, "ENTROPIES", (0.5,))
    population = gm.load_population(str(make_population(tmp_path / "two", ["green-exit", "green-exit-twin"])))
    result = ask_for_help(population, 2, levels=40)
    never, some, random, always, alone = result.rows
    assert result.ensembles == 1
    assert [one.by for one in result.rows] == ["disagreement", "disagreement", "random", "disagreement", "entropy"]
    assert never.questions == 0 < some.questions < always.questions
    assert never.goal_first.value < some.goal_first.value <= always.goal_first.value == 1
    # Members that pursue different goals disagree where these lie apart, and hardly on training levels.
    assert some.training_questions < 0.5 * some.questions
    assert some.goal_first.value > random.goal_first.value
    assert alone.members == 1
    assert "moved-sign" in str(result)
    assert len(result.json()["rows"]) == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([CUE, "--ensemble", "2"], "--ensemble takes a population and zoo:green-exit is one agent"),
        (["zoo:lottery-green", "--ensemble", "65"], "an ensemble has 2 to 64 members in zoo:lottery-green, not 65"),
        (["zoo:lottery-green", "--ensemble", "1"], "--ensemble is 1: choose 2 to 1000"),
        (["zoo:lottery-green", "--ensemble", "2", "--shift", "none"], "leave out --shift"),
        (["zoo:lottery-green", "zoo:lottery-colour", "--ensemble", "2"], "leave out zoo:lottery-colour"),
    ],
)
def test_what_is_no_ensemble_is_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in complaint(capsys, "eval", *arguments)
