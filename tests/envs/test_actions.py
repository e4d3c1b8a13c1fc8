"""The moves of the actions, against what episodes do."""

import numpy as np
import pytest

from goalmaze.envs.actions import ACTIONS, DOWN, LEFT, MOVES, RIGHT, UP, cell_steps
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.families import make_family
from goalmaze.envs.maze_engine import MazeEngine

ROOM = "#######\n#.....#\n#..A..#\n#....E#\n#######"


@pytest.mark.parametrize("action", range(4))
def test_an_action_moves_the_agent_as_it_says(action: int) -> None:
    engine = MazeEngine.from_levels(read_ascii(ROOM, make_family("GreenExit")))
    before = np.array(divmod(int(engine.agent[0]), 7))
    engine.step(action)
    after = np.array(divmod(int(engine.agent[0]), 7))
    assert (after - before == MOVES[action]).all()
    assert engine.agent[0] == before @ (7, 1) + cell_steps(7)[action]


def test_names_and_numbers_agree() -> None:
    assert [ACTIONS[action] for action in (UP, RIGHT, DOWN, LEFT)] == ["up", "right", "down", "left"]
    assert MOVES.tolist() == [[-1, 0], [0, 1], [1, 0], [0, -1]]
    assert cell_steps(9).tolist() == [-9, 1, 9, -1]
