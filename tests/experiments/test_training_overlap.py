"""What an agent has met in training, against sets of bytes; and evaluation on walls that it has not met."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import goalmaze as gm
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families, make_family
from goalmaze.envs.levels import LevelBatch, concatenate
from goalmaze.experiments.evaluate import training_overlap
from goalmaze.experiments.evaluate.training_overlap import compare_with_training, level_digests, quick_overlap
from goalmaze.experiments.retarget.command import steer
from goalmaze.experiments.retarget.config import RetargetConfig

AGENT = gm.load("zoo:green-exit-early")
TRAINING_LEVELS = 1594
MET = [0, 5, 700, TRAINING_LEVELS - 1]


def by_bytes(levels: LevelBatch) -> tuple[list[object], list[object], list[object]]:
    """Return the hash, the first observation and the walls of every level."""
    observations = first_observations(levels)
    return list(levels.hashes()), [one.tobytes() for one in observations], [one.tobytes() for one in levels.walls]


@pytest.fixture(scope="module")
def training() -> LevelBatch:
    return AGENT.family.levels(0, np.arange(TRAINING_LEVELS), split="training")


def test_the_counts_are_those_of_a_slow_comparison(training: LevelBatch) -> None:
    levels = concatenate([AGENT.family.levels(0, count=300), training.take(MET)])
    slow = [
        sum(one in set(theirs) for one in ours)
        for ours, theirs in zip(by_bytes(levels), by_bytes(training), strict=True)
    ]
    found = compare_with_training(AGENT, levels)
    assert [found.same_level, found.same_observation, found.same_walls] == slow
    assert len(MET) <= found.same_level <= found.same_observation < found.same_walls < len(levels)
    assert found.compared == found.training_levels == TRAINING_LEVELS
    assert "all 1,594 training levels" in found.sentence


def test_levels_after_the_last_one_of_training_are_not_met() -> None:
    after = AGENT.family.levels(0, TRAINING_LEVELS + np.arange(40), split="training")
    assert compare_with_training(AGENT, after).same_level == 0


@pytest.mark.parametrize("name", known_families())
def test_digests_are_equal_exactly_where_levels_are(name: str) -> None:
    family = make_family(name, {"size": 5})
    levels = family.levels(0, count=400)
    digests = level_digests(levels)
    for ours, theirs in zip((digests.level, digests.observation, digests.walls), by_bytes(levels), strict=True):
        ours_first, theirs_first = ({one: i for i, one in reversed(list(enumerate(of)))} for of in (ours, theirs))
        assert [ours_first[one] for one in ours] == [theirs_first[one] for one in theirs]


def test_objects_of_one_type_are_interchangeable_and_empty_slots_do_not_count() -> None:
    levels = make_family("KeysChests").levels(0, count=20)
    swapped = levels.objects.copy()
    swapped[:, [0, 1]] = swapped[:, [1, 0]]
    other = dataclasses.replace(levels, objects=swapped)
    assert (other.objects != levels.objects).any()
    assert np.array_equal(level_digests(other).level, level_digests(levels).level)
    few, many = (make_family("GreenExit", {"signs": n}).levels(0, count=20) for n in (1, 8))
    assert np.array_equal(level_digests(few).level, level_digests(many).level)


def test_a_quick_comparison_says_that_it_is_a_lower_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = AGENT.family.levels(0, count=200)
    monkeypatch.setattr(training_overlap, "QUICK_CELLS", 81 * 100)
    found = quick_overlap(AGENT, levels)
    assert (found.compared, found.training_levels) == (100, TRAINING_LEVELS)
    assert found.same_walls < compare_with_training(AGENT, levels).same_walls
    for words in ("at least", "first 100 of 1,594", "goalmaze leakage"):
        assert words in found.sentence


def test_an_agent_from_memory_says_that_its_training_is_unknown() -> None:
    agent = gm.Agent(AGENT.network, AGENT.family)
    found = quick_overlap(agent, AGENT.family.levels(0, count=4))
    assert found.compared == 0
    assert "unknown" in found.sentence
    with pytest.raises(GoalmazeError, match="its training levels are unknown"):
        gm.evaluate(agent, levels=4, unseen_walls=True)


def test_unseen_walls_are_unseen_and_their_levels_have_addresses(training: LevelBatch) -> None:
    report = gm.evaluate(AGENT, levels=60, unseen_walls=True)
    assert report.overlap.same_walls == 0
    assert gm.evaluate(AGENT, levels=60).overlap.same_walls > 0
    met = {walls.tobytes() for walls in training.walls}
    drawn = AGENT.family.levels(0, count=80)
    kept = [b for b in range(80) if drawn.walls[b].tobytes() not in met][:60]
    chosen = training_overlap.levels_with_unseen_walls([AGENT], AGENT.family, count=60, shift="none", seed=0)
    assert chosen == AGENT.family.levels(0, kept)
    assert kept != list(range(60))


def test_unseen_walls_of_several_agents_are_unseen_by_each() -> None:
    other = gm.load("zoo:green-exit-cue")
    found = gm.compare([AGENT, other], levels=16, unseen_walls=True)
    assert [one.same_walls for one in found.overlaps] == [0, 0]
    with pytest.raises(GoalmazeError, match="unseen_walls chooses among drawn levels"):
        gm.evaluate(AGENT, levels=AGENT.family.levels(0, count=4), unseen_walls=True)


def test_where_all_walls_are_met_there_are_too_few_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_overlap, "MAX_EXAMINED", 1)
    with pytest.raises(GoalmazeError, match=r"of the first 300 evaluation levels have walls .* choose a larger size"):
        gm.evaluate(AGENT, levels=300, unseen_walls=True)


def test_probes_and_edits_say_how_many_of_their_levels_were_met() -> None:
    probed = gm.probe(AGENT, targets=["sign"], sites=["stem"], levels=64, fit_levels=128)
    edited = gm.retarget(AGENT, "mean-pattern", sites=["stem"], levels=40, fit_levels=16)
    shared: dict[str, Any] = {"sites": ("stem",), "methods": ("mean-pattern",), "levels": 40, "fit_levels": 16}
    listed = steer(AGENT, RetargetConfig(agent=AGENT.name, ledger=True, **shared))
    shifted, trained = AGENT.family.levels(0, count=64, shift="moved-sign"), AGENT.family.levels(0, count=40)
    for result, levels in ((probed, shifted), (edited, trained), (listed, trained)):
        assert result.overlap == compare_with_training(AGENT, levels)
        assert result.overlap.same_walls > 0
        assert result.overlap.sentence in result.text()
        assert result.json()["training_overlap"] == result.overlap.json()
