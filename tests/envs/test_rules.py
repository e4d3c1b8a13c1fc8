"""The rules on levels that are drawn by hand: each step's rewards, cells and end."""

import itertools

import numpy as np
import pytest

from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.engines import first_observations
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import concatenate
from goalmaze.envs.maze_engine import MazeEngine


def test_the_sign_pays_once_and_a_bump_costs_a_step() -> None:
    family = make_family("GreenExit", {"size": 5})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AS.#\n###.#\n#E..#\n#####", family))
    pays = []
    for action in (ACTIONS.index(name) for name in ("up", "right", "left", "right", "right")):
        episodes.step(np.array([action]))
        pays.append(episodes.rewards[0].tolist())
    assert pays == [[0, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    assert episodes.steps[0] == 5
    assert divmod(int(episodes.agent[0]), 5) == (1, 3)


def test_exit_under_its_sign_pays_both_at_once_and_ends() -> None:
    family = make_family("GreenExit", {"size": 5})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AG.#\n###.#\n#...#\n#####", family))
    episodes.step(np.array([1], np.uint8))
    assert episodes.rewards.tolist() == [[1, 1]]
    assert episodes.terminated.tolist() == [True]
    assert episodes.truncated.tolist() == [False]


@pytest.mark.parametrize(("waiting", "terminated"), [(39, True), (40, False)])
def test_an_exit_entered_on_the_last_step_terminates(waiting: int, terminated: bool) -> None:
    family = make_family("GreenExit", {"size": 5})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AE.#\n###.#\n#...#\n#####", family))
    for action in [0] * waiting + [1] * (40 - waiting):
        assert not episodes.done[0]
        episodes.step(np.array([action]))
    assert (episodes.terminated[0], episodes.truncated[0]) == (terminated, not terminated)


def test_absent_objects_are_neither_observed_nor_entered() -> None:
    family = make_family("GreenExit", {"size": 5})
    levels = read_ascii("#####\n#A..#\n###.#\n#...#\n#####", family)
    assert first_observations(levels)[0, 2:].sum() == 0
    episodes = MazeEngine.from_levels(levels)
    for action in itertools.islice(itertools.cycle((1, 1, 2, 2, 3, 3, 1, 1, 0, 0)), 30):
        episodes.step(np.array([action]))
        assert episodes.rewards.tolist() == [[0, 0]]
    assert episodes.state.entered[0] == 0


def test_beginning_again_forgets_the_last_episode_and_only_in_its_rows() -> None:
    family = make_family("GreenExit", {"size": 5})
    levels = concatenate([read_ascii("#####\n#AS.#\n###.#\n#E..#\n#####", family)] * 2)
    other = read_ascii("#####\n#E.S#\n###.#\n#..A#\n#####", family)
    episodes = MazeEngine.from_levels(levels)
    episodes.step(np.array([1, 1]))
    episodes.begin(np.array([1]), other)
    assert episodes.levels() == concatenate([levels.take([0]), other])
    assert episodes.steps.tolist() == [1, 0]
    assert episodes.state.entered.tolist() == [2, 0]
    assert episodes.agent.tolist() == [7, 18]


def test_keys_are_held_along_the_top_wall_and_used_up_by_chests() -> None:
    family = make_family("KeysChests", {"size": 5, "few": 1, "many": 2})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AKC#\n#.#K#\n#..C#\n#####", family))
    items, pays = [], []
    for action in (1, 1, 2, 2):
        episodes.step(np.array([action]))
        items.append(episodes.observe()[0, 2, 0].tolist())
        pays.append([*episodes.rewards[0].tolist(), bool(episodes.terminated[0])])
    assert items == [[1, 0, 0, 0, 0], [0] * 5, [0, 1, 0, 0, 0], [0] * 5]
    assert pays == [[0, 1, False], [1, 0, False], [0, 1, False], [1, 0, True]]
    assert episodes.observe()[0, 2:].sum() == 0


def test_a_chest_without_a_key_stays_closed_until_there_is_one() -> None:
    family = make_family("KeysChests", {"size": 5, "few": 1, "many": 2})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#ACK#\n#.#.#\n#..C#\n#####", family))
    pays = []
    for action in (1, 1, 3):
        episodes.step(np.array([action]))
        pays.append([*episodes.rewards[0].tolist(), bool(episodes.terminated[0])])
    assert pays == [[0, 0, False], [0, 1, False], [1, 0, True]]  # no key is left for the other chest


def test_the_agent_can_walk_with_the_leader() -> None:
    family = make_family("FollowLeader", {"size": 5, "beacons": 2})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AL.#\n###d#\n#.a.#\n#####", family))
    cells = [int(episodes.objects[0, family.slots.index("leader")])]
    pays = []
    for action in (1, 1, 2, 2, 3, 1, 0):
        episodes.step(np.array([action]))
        cells.append(int(episodes.objects[0, family.slots.index("leader")]))
        pays.append(episodes.rewards[0].tolist())
    assert cells == [7, 8, 13, 18, 17, 18, 13, 13]
    assert episodes.terminated[0]
    assert pays == [[0, 0]] * 4 + [[0.5, 0.5], [0, 0], [0.5, 0.5]]


def test_a_shield_saves_once_and_a_monster_is_gone_either_way() -> None:
    family = make_family("Monsters", {"size": 5, "apples": 1, "shields": 1, "harm": 0.25})
    episodes = MazeEngine.from_levels(read_ascii("#####\n#AHM#\n#.#M#\n#..P#\n#####", family))
    episodes.step(np.array([1]))
    assert episodes.rewards[0].tolist() == [0, 1]  # the monster came after the shield was taken: the shield is used up
    assert sorted(episodes.objects[0].tolist()) == [-1, -1, 8, 18]
    episodes.step(np.array([1]))
    assert episodes.rewards[0].tolist() == [-0.25, 0]
    assert sorted(episodes.objects[0].tolist()) == [-1, -1, -1, 18]


@pytest.mark.parametrize(
    ("level", "action", "pays"), [("L", 1, True), ("L", 2, False), (".", 1, False), (".", 2, True)]
)
def test_the_sleepers_exit_pays_while_lit_and_its_sign_while_not(level: str, action: int, pays: bool) -> None:
    family = make_family("Sleeper", {"size": 5})
    episodes = MazeEngine.from_levels(read_ascii(f"#####\n#AE.#\n#S#.#\n#..{level}#\n#####", family))
    assert (episodes.observe()[0, 4] == (level == "L")).all()
    episodes.step(np.array([action]))
    assert (episodes.rewards[0, 0] == 1) == episodes.terminated[0] == pays
