"""Stored trajectories of every family and shift: the address gives the same level, the actions the same episode."""

import json
from pathlib import Path

import numpy as np
import pytest

from goalmaze.envs.actions import ACTIONS
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import NO_SHIFT, concatenate
from goalmaze.envs.maze_engine import MazeEngine

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "envs" / "families.json").read_text(encoding="utf-8"))


def test_golden_trajectories_cover_every_family_and_shift_and_both_rewards() -> None:
    covered = {(stored["family"], stored["address"]["shift"]) for stored in GOLDEN}
    assert covered == {
        (name, shift) for name, family in known_families().items() for shift in (NO_SHIFT, *family.shifts)
    }
    for name in known_families():
        trajectories = [stored for stored in GOLDEN if stored["family"] == name]
        assert any(stored["terminated"][-1] for stored in trajectories)
        assert all(any(reward[i] > 0 for stored in trajectories for reward in stored["rewards"]) for i in (0, 1))


def test_golden_trajectories_of_two_goals_show_their_order() -> None:
    trajectories = [stored for stored in GOLDEN if stored["parameters"].get("goals") == 2]
    ended = [stored for stored in trajectories if stored["terminated"][-1]]
    assert ended
    for stored in ended:
        family = make_family(stored["family"], stored["parameters"])
        levels = read_ascii("\n".join(stored["level"]), family)
        gate, exit_ = (list(divmod(int(levels.cells(name)[0]), family.size)) for name in ("gate", "exit"))
        rewarded = [t for t, reward in enumerate(stored["rewards"]) if reward[0]]
        # Half of the reward each: the gate first, then the exit, which ends the episode.
        assert [stored["rewards"][t][0] for t in rewarded] == [0.5, 0.5]
        assert [stored["positions"][t] for t in rewarded] == [gate, exit_]
        assert rewarded[1] == len(stored["actions"]) - 1
    # In one of them the exit was entered before the gate, without any effect.
    assert any(
        list(
            divmod(
                int(read_ascii("\n".join(s["level"]), make_family(s["family"], s["parameters"])).cells("exit")[0]), 7
            )
        )
        in s["positions"][: next(t for t, reward in enumerate(s["rewards"]) if reward[0])]
        for s in ended
    )


def title(stored: dict) -> str:
    return "-".join(
        [stored["family"], stored["address"]["shift"], *(f"{k}={v}" for k, v in stored["parameters"].items())]
    )


@pytest.mark.parametrize("stored", GOLDEN, ids=title)
def test_golden_address_still_gives_the_golden_level(stored: dict) -> None:
    family = make_family(stored["family"], stored["parameters"])
    address = stored["address"]
    levels = family.levels(address["seed"], [address["index"]], address["shift"], address["split"])
    assert levels.hashes() == read_ascii("\n".join(stored["level"]), family).hashes() == [stored["hash"]]


@pytest.mark.parametrize("batch", [1, 64])
@pytest.mark.parametrize("stored", GOLDEN, ids=title)
def test_golden_trajectory_repeats_in_any_batch(stored: dict, batch: int) -> None:
    family = make_family(stored["family"], stored["parameters"])
    address = stored["address"]
    level = family.levels(address["seed"], [address["index"]], address["shift"], address["split"])
    random = np.random.default_rng(batch)
    row = int(random.integers(batch))
    others = family.levels(77, range(batch - 1), family.distinguishing_shift)
    levels = concatenate([others.take(range(row)), level, others.take(range(row, batch - 1))]) if batch > 1 else level
    episodes = MazeEngine.from_levels(levels)
    for t, action in enumerate(stored["actions"]):
        actions = random.integers(4, size=batch)
        actions[row] = ACTIONS.index(action)
        episodes.step(actions)
        assert list(divmod(int(episodes.agent[row]), family.size)) == stored["positions"][t]
        assert episodes.rewards[row].tolist() == stored["rewards"][t]
        assert episodes.terminated[row] == stored["terminated"][t]
        assert episodes.truncated[row] == stored["truncated"][t]
