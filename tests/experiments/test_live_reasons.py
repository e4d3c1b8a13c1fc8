"""Why the agent goes there: the page's answer is that of the network run by hand on the changed level."""

import dataclasses

import numpy as np
import pytest

from goalmaze.agents.loading import load_agent
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.cells import ABSENT
from goalmaze.experiments.live.reasons import reasons
from goalmaze.experiments.live.scene import Scene


@pytest.mark.parametrize("name", ["zoo:green-exit", "zoo:green-exit-lstm"])
def test_a_decision_in_mid_episode_is_that_of_the_network_run_by_hand(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("goalmaze.experiments.live.reasons.LISTED", 100)
    agent = load_agent(name)
    scene = Scene(agent, agent.family, None, shift="moved-sign", seed=3, index=17)
    for _ in range(3):
        scene.step()
    answer = reasons(scene)
    level, trail = scene.level, scene.unedited.trail
    rows, actor = np.arange(1), agent.policy.begin(level)
    for cell in trail[:-1]:
        there = level.started(cell)
        actor.probabilities(rows, observations_of(agent.policy, there), there.start)
    slot = level.slots.index("sign")
    objects = level.objects.copy()
    objects[0, slot] = ABSENT
    # The memory is that of the steps with the sign; only the last observation lacks it.
    without = dataclasses.replace(level, objects=objects).started(trail[-1])
    expected = actor.probabilities(rows, observations_of(agent.policy, without), without.start)
    sign = next(row for row in answer["rows"] if row["element"].startswith("the sign"))
    assert sign["without"] == ACTIONS[int(expected.argmax())]
    assert answer["words"].startswith("In step 4 the agent goes ")
    assert answer["heat"][level.objects[0, slot]] == pytest.approx(sign["value"], abs=0.01)
    border = np.ones((level.height, level.width), np.bool_)
    border[1:-1, 1:-1] = False
    assert not np.array(answer["heat"])[border.ravel()].any()
    assert answer["trusted"] is not None
    assert "AUROC" in answer["trust"]


def test_an_agent_that_was_not_benchmarked_and_an_episode_that_has_ended_are_said_to_be_so() -> None:
    agent = load_agent("zoo:green-exit-faint")
    scene = Scene(agent, agent.family, None, shift="none", seed=3)
    answer = reasons(scene)
    assert answer["trusted"] is None
    assert "goalmaze explain zoo:green-exit-faint --benchmark" in answer["trust"]
    while not scene.finished:
        scene.step()
    ended = reasons(scene)
    assert "has ended" in ended["words"]
    assert not ended["rows"]
    assert not any(ended["heat"])
