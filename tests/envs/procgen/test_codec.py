"""States of Procgen's maze as data: the same bytes again, the right things in the right fields, and no other bytes."""

from __future__ import annotations

import contextlib
import dataclasses
import struct

import numpy as np
import pytest

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.procgen import codec
from goalmaze.envs.procgen.codec import GOAL, SPACE, WALL, pack, parse
from goalmaze.envs.procgen.simulator import WORLDS, ProcgenSimulator, build

SECTIONS = ("options", "game", "progress", "motion", "window", "seed_generator", "level_generator", "asset_generator")


def test_a_thousand_states_come_back_bit_for_bit(walked: dict[str, list[bytes]]) -> None:
    states = [state for some in walked.values() for state in some]
    assert len(states) >= 1000
    assert len(set(states)) > 900
    for state in states:
        assert pack(parse(state)) == state


def test_states_of_every_mode_stand_in_the_middle_of_episodes(walked: dict[str, list[bytes]]) -> None:
    for mode, states in walked.items():
        found = [parse(state) for state in states]
        assert {one.world_dim for one in found} == {WORLDS[mode]}
        assert sum(one.progress.cur_time > 0 for one in found) > len(found) / 2
        assert len({one.progress.current_level_seed for one in found}) > 40


def test_the_fields_say_what_was_done(mode: str) -> None:
    simulator = ProcgenSimulator(3, mode)
    for row, state in enumerate(build(mode, [11, 12, 13])):
        simulator.put(row, state)
    actions = np.array([4, 7, 5], np.int32)
    before = [parse(simulator.state(row)) for row in range(3)]
    simulator.step(actions)
    for row, was in enumerate(before):
        now = parse(simulator.state(row))
        assert (now.progress.current_level_seed, now.progress.action) == (11 + row, actions[row])
        assert (now.progress.cur_time, now.progress.timeout) == (was.progress.cur_time + 1, 500)
        assert now.options.distribution_mode == {"easy": 0, "hard": 1, "memory": 10}[mode]
        assert now.game.level_seed_low == 11 + row
        assert (now.grid == GOAL).sum() == 1
        assert set(np.unique(now.grid)) == {GOAL, WALL, SPACE}
        assert now.grid[now.mouse] != WALL
    assert parse(simulator.state(0)).mouse == before[0].mouse
    simulator.close()


def test_the_first_row_is_at_the_top(mode: str) -> None:
    """The mouse begins at the bottom left of the maze and Procgen's action 5, up, makes its row smaller."""
    simulator = ProcgenSimulator(1, mode)
    for seed in range(20):
        simulator.put(0, build(mode, [seed])[0])
        state = parse(simulator.state(0))
        margin = (state.world_dim - state.maze_dim) // 2
        assert state.mouse[1] == margin
        row, column = state.mouse
        assert row > state.world_dim / 2 - 1
        opens = state.grid[row - 1, column] != WALL
        simulator.step(np.array([5], np.int32))
        after = parse(simulator.state(0))
        if after.progress.cur_time == 1:
            assert after.mouse == (row - opens, column)
    simulator.close()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_written_where_it_is_read(walked: dict[str, list[bytes]], section: str) -> None:
    state = parse(walked["hard"][7])
    part = getattr(state, section)
    written = set[bytes]()
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        other = "1 2 3" if isinstance(value, str) else type(value)(value == 0) + type(value)(2)
        changed = dataclasses.replace(state, **{section: dataclasses.replace(part, **{field.name: other})})
        again = parse(pack(changed))
        assert getattr(again, section) == getattr(changed, section) != part
        written.add(pack(again))
    assert len(written) == len(dataclasses.fields(part))


def test_every_field_of_the_mouse_is_written(walked: dict[str, list[bytes]]) -> None:
    state = parse(walked["easy"][3])
    for field in dataclasses.fields(codec.Entity):
        mouse = dataclasses.replace(state.entities[0], **{field.name: 3})
        changed = pack(dataclasses.replace(state, entities=(mouse,)))
        assert getattr(parse(changed).entities[0], field.name) == 3
        assert len(changed) == len(walked["easy"][3])


def test_truncated_states_are_refused_in_one_line(walked: dict[str, list[bytes]]) -> None:
    state = walked["easy"][0]
    for length in [*range(400), *range(400, len(state), 997), len(state) - 1]:
        with pytest.raises(GoalmazeError, match="give the whole of it") as error:
            parse(state[:length])
        assert "\n" not in str(error.value)


def test_foreign_bytes_are_refused(walked: dict[str, list[bytes]]) -> None:
    state = walked["easy"][0]
    name = state.index(b"maze")
    bad = {
        "of the game 'coin'": state[:name] + b"coin" + state[name + 4 :],
        "version is 9": struct.pack("=i", 9) + state[4:],
        "goes on after its end mark": state + b"\0",
        "end mark is 0": state[:-4] + bytes(4),
        "names -1 characters": state[:4] + struct.pack("=i", -1) + state[8:],
        "a maze has a square grid": state[:-8] + struct.pack("=i", 14) + state[-4:],
    }
    for message, damaged in bad.items():
        with pytest.raises(GoalmazeError, match=message):
            parse(damaged)
    random = np.random.default_rng(0)
    for _ in range(200):
        noise = bytearray(state)
        for at in random.integers(0, 200, 4):
            noise[at] = random.integers(256)
        with contextlib.suppress(GoalmazeError):
            assert pack(parse(bytes(noise))) == bytes(noise)


def test_random_bytes_are_refused() -> None:
    for seed in range(50):
        with pytest.raises(GoalmazeError):
            parse(np.random.default_rng(seed).bytes(5000))
