"""Training draws towards what pays, by the reward that is learned from."""

import numpy as np
import pytest
from oracles.paths import all_distances

from goalmaze.agents.sb3 import MazeVecEnv
from goalmaze.agents.shaping import Shaping
from goalmaze.envs.episodes import Episodes
from goalmaze.envs.families import make_family

COUNT = 60


@pytest.mark.parametrize(
    ("name", "shift", "reward", "drawn_to"),
    [
        ("GreenExit", "moved-sign", "true", "exit"),
        ("GreenExit", "moved-sign", "cue", "sign"),
        ("ColourShape", "red-line-yellow-gem", "cue", "yellow"),
        ("Corner", "anywhere", "cue", "corner"),
        ("Sleeper", "lit", "true", "exit"),
        ("Sleeper", "unlit", "true", "sign"),
        ("KeysChests", "none", "true", None),
        ("Monsters", "none", "cue", None),
    ],
)
def test_the_way_that_counts_is_the_way_to_what_pays(name: str, shift: str, reward: str, drawn_to: str | None) -> None:
    family = make_family(name, {"size": 9})
    levels = family.levels(4, np.arange(COUNT), shift)
    shaping = Shaping(family, COUNT, 0.3, reward)  # type: ignore[arg-type]
    shaping.begin(Episodes(family, levels).state, np.arange(COUNT))
    for b in range(COUNT):
        expected = np.zeros(81)
        if drawn_to is not None:
            expected = all_distances(levels.walls[b])[levels.cells(drawn_to)[b]]
        free = ~levels.walls[b].ravel()
        assert np.array_equal(shaping.ways[b][free], expected[free])


def test_in_the_dark_a_sleeper_is_drawn_to_the_sign_in_the_same_batch() -> None:
    family = make_family("Sleeper", {"size": 9})
    levels = family.levels(4, np.arange(COUNT))
    shaping = Shaping(family, COUNT, 0.3, "true")
    shaping.begin(Episodes(family, levels).state, np.arange(COUNT))
    lit = levels.cells("lamp") >= 0
    nearest = shaping.ways[np.arange(COUNT), np.where(lit, levels.cells("exit"), levels.cells("sign"))]
    assert 0 < lit.sum() < COUNT
    assert (nearest == 0).all()


def test_the_cues_reward_is_what_pays_when_it_is_learned_from() -> None:
    family = make_family("GreenExit", {"size": 5, "correlation": 0.0})
    true, cue = (MazeVecEnv(family, 40, 1, reward=reward) for reward in ("true", "cue"))  # type: ignore[arg-type]
    true.reset()
    cue.reset()
    choice = np.random.default_rng(0)
    sums = np.zeros(2)
    for _ in range(60):
        actions = choice.integers(0, 4, 40)
        for i, mazes in enumerate((true, cue)):
            rewards, _, _ = mazes.advance(actions)
            sums[i] += rewards.sum()
    assert sums[0] > 5
    assert sums[1] > 5
    assert sums[0] != sums[1]
    assert true.record.count == cue.record.count
    assert np.array_equal(true.record.means(), cue.record.means())
