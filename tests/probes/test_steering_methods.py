"""What holds for every steering method, the ways that teach them, and the network that shows who navigates."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from oracles.paths import neighbours, shortest_paths
from torch import Tensor

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Shape
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.cells import Cells
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.context import FitContext
from goalmaze.probes.controls import untrained_above, used_above
from goalmaze.probes.edits.base import Add, Edit, applied, uses_of
from goalmaze.probes.edits.composition import EqualNormNoise, Found, JointEdit, SequentialEdits, edits_of
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.information import uses_only_cells
from goalmaze.probes.steering import all_methods, any_method, find_method, known_methods
from goalmaze.probes.steering.channel_translation import Exchange
from goalmaze.probes.steering.gated_pattern import Gate, GatedPattern
from goalmaze.probes.targets import draw_targets
from goalmaze.probes.training_batch import TrainingBatch, draw_training_batch, move_log_chances, right_moves

LEVELS = 48


def context(policy: NetworkPolicy, family: Family, levels: int = LEVELS, effort: float = 0.005) -> FitContext:
    return FitContext(policy, family.levels(7, np.arange(levels), split="fitting"), effort=effort)


def seen_by(policy: NetworkPolicy, family: Family, levels: LevelBatch, edits: list[Edit]) -> np.ndarray:
    with applied(policy, edits):
        return policy.probabilities(np.arange(len(levels)), observations_of(policy, levels), levels.start)


@pytest.mark.parametrize("name", list(all_methods()))
def test_every_method_is_fair_does_something_and_at_strength_zero_nothing(
    name: str, policy: NetworkPolicy, family: Family, levels: LevelBatch
) -> None:
    found = any_method(name).find(context(policy, family), "block1")
    assert uses_only_cells(found.uses)
    targets = draw_targets(levels, 0)
    plain = seen_by(policy, family, levels, [])

    def chances(strength: float) -> np.ndarray:
        edits = edits_of(found, GoalMove.on(levels, targets), strength)
        assert all(uses_only_cells(uses_of(edit)) for edit in edits)
        return seen_by(policy, family, levels, edits)

    np.testing.assert_array_equal(chances(0.0), plain)
    assert np.abs(chances(1.0) - plain).max() > 1e-4
    np.testing.assert_array_equal(seen_by(policy, family, levels, []), plain)


def test_patterns_are_among_all_methods_and_mistakes_are_named() -> None:
    assert set(known_methods()) < set(all_methods())
    assert len(all_methods()) >= 13
    with pytest.raises(GoalmazeError, match=r"unknown steering method 'gated-patern' \(did you mean 'gated-pattern'"):
        any_method("gated-patern")
    with pytest.raises(GoalmazeError, match="unknown steering method 'minimal-edit'"):
        find_method("minimal-edit")


def test_noise_is_as_large_as_the_edit_and_the_same_at_every_step(levels: LevelBatch) -> None:
    luck = torch.Generator().manual_seed(0)
    maps, delta = (torch.randn((len(levels), 5, 7, 7), generator=luck) for _ in range(2))
    noise = EqualNormNoise(Add("stem", delta), len(levels), 3)
    rows = np.arange(len(levels))
    changed = noise(maps, rows) - maps
    torch.testing.assert_close(changed.flatten(1).norm(dim=1), delta.flatten(1).norm(dim=1))
    likeness = torch.nn.functional.cosine_similarity(changed.flatten(1), delta.flatten(1)).abs()
    assert likeness.max() < 0.3
    few = np.array([5, 2])
    torch.testing.assert_close(noise(maps[few], few) - maps[few], changed[few])
    assert bool((noise(maps.relu(), rows) >= 0).all())
    assert uses_of(noise) == uses_of(noise.edit)


def test_edits_in_turn_and_at_several_sites(policy: NetworkPolicy, family: Family, levels: LevelBatch) -> None:
    rows = np.arange(len(levels))
    maps = torch.randn((len(levels), 8, 7, 7), generator=torch.Generator().manual_seed(0))
    double, shift = Add("stem", maps.clone()), Add("stem", torch.ones_like(maps))
    torch.testing.assert_close(SequentialEdits((double, shift))(maps, rows), 2 * maps + 1)
    with pytest.raises(GoalmazeError, match="edits in turn are of one site, these are of: stem, block1"):
        SequentialEdits((double, dataclasses.replace(shift, site="block1")))
    with pytest.raises(GoalmazeError, match="a Joint needs one part or more"):
        JointEdit(())
    patterns = [any_method("mean-pattern").find(context(policy, family), site) for site in ("stem", "block2")]
    joint = JointEdit(tuple(one for one in patterns if isinstance(one, GoalPattern)))
    assert joint.site == "stem+block2"
    targets = draw_targets(levels, 0)
    both = edits_of(joint, GoalMove.on(levels, targets))
    assert [edit.site for edit in both] == ["stem", "block2"]
    together = seen_by(policy, family, levels, both)
    assert all(np.abs(together - seen_by(policy, family, levels, [edit])).max() > 1e-4 for edit in both)


def test_an_exchange_swaps_two_windows_and_twice_is_none() -> None:
    maps = torch.randn((2, 4, 7, 7), generator=torch.Generator().manual_seed(0))
    goals, targets = np.array([8, -1], np.int32), np.array([32, 20], np.int32)
    swap = Exchange("stem", (1, 3), goals, targets, side=3)
    once = swap(maps, np.arange(2))
    torch.testing.assert_close(once[0, [1, 3], 0:3, 0:3], maps[0, [1, 3], 3:6, 3:6])
    torch.testing.assert_close(once[0, [1, 3], 3:6, 3:6], maps[0, [1, 3], 0:3, 0:3])
    assert torch.equal(once[0, [0, 2]], maps[0, [0, 2]])
    assert torch.equal(once[1], maps[1])
    torch.testing.assert_close(swap(once, np.arange(2)), maps)


def test_right_moves_are_the_first_steps_of_all_shortest_paths_around_the_goal(family: Family) -> None:
    levels = family.levels(3, np.arange(40))
    goals, targets = levels.cells("exit"), draw_targets(levels, 1)
    found, around_matters = right_moves(levels, goals, targets), False
    for b in range(len(levels)):
        plain = neighbours(levels.walls[b])
        closed = {c: [n for n in near if n != goals[b]] for c, near in plain.items() if c != goals[b]}
        start, target = int(levels.start[b]), int(targets[b])
        paths = shortest_paths(closed, start, target)
        direct = shortest_paths(plain, start, target)
        around_matters |= bool(paths) and len(paths[0]) > len(direct[0])
        steps = {path[1] - start for path in (paths or direct)}
        assert [step in steps for step in (-levels.width, 1, levels.width, -1)] == found[b].tolist()
    assert around_matters


def test_a_lessons_loss_is_the_surprise_at_right_moves(policy: NetworkPolicy, family: Family) -> None:
    work = context(policy, family)
    training_batch = draw_training_batch(work, np.random.default_rng(0), 16)
    assert not np.array_equal(training_batch.levels.start, work.levels.start[: len(training_batch.levels)])
    chances = seen_by(policy, family, training_batch.levels, []).astype(float)
    by_hand = -np.log((chances * training_batch.right.numpy()).sum(axis=1)).mean()
    assert loss_of(training_batch) == pytest.approx(by_hand, rel=1e-4)
    logits = torch.randn(3, 15, generator=torch.Generator().manual_seed(0))
    own = logits.softmax(dim=1)
    up, right = own[:, 5], own[:, 6:9].sum(dim=1)
    moves = move_log_chances(logits).exp()
    torch.testing.assert_close(moves[:, 0] / moves[:, 1], up / right)
    torch.testing.assert_close(moves.sum(dim=1), torch.ones(3))


@pytest.mark.parametrize(
    ("name", "effort"),
    [("expert-pattern", 0.15), ("gated-pattern", 0.15), ("gated-deep", 0.15), ("pointwise-network", 0.03)],
)
def test_what_is_taught_by_the_way_makes_right_moves_likelier_on_other_mazes(
    name: str, effort: float, policy: NetworkPolicy, family: Family
) -> None:
    with torch.no_grad():
        for block in ("block1", "block2"):
            policy.network.get_parameter(f"{block}.conv.weight").mul_(3.0)
    before = {key: value.clone() for key, value in policy.network.state_dict().items()}
    learned = any_method(name).find(context(policy, family, 400, effort=effort), "block1")
    again = any_method(name).find(context(policy, family, 400, effort=0.005), "block1")
    judges = FitContext(policy, family.levels(99, np.arange(200), split="evaluation"))
    training_batch = draw_training_batch(judges, np.random.default_rng(5), 200)
    crude = any_method("mean-pattern").find(context(policy, family), "block1")
    assert loss_of(training_batch, learned) < 0.97 * min(loss_of(training_batch), loss_of(training_batch, crude))
    assert loss_of(training_batch, learned) < loss_of(training_batch, again)
    assert all(torch.equal(value, before[key]) for key, value in policy.network.state_dict().items())
    assert not any(module._forward_hooks for module in policy.network.modules())


def loss_of(training_batch: TrainingBatch, found: Found | None = None) -> float:
    edits = [] if found is None else edits_of(found, training_batch.move)
    with torch.no_grad():
        return float(training_batch.loss(edits))


def test_a_gate_adds_and_multiplies_square_by_square() -> None:
    luck = torch.Generator().manual_seed(0)
    maps, delta, gain = (torch.randn((2, 3, 5, 5), generator=luck) for _ in range(3))
    changed = Gate("stem", delta, gain)(maps, np.arange(2))
    torch.testing.assert_close(changed, maps * (1 + gain) + delta)
    bumped = maps.clone()
    bumped[:, :, 2, 2] += 1
    apart = (Gate("stem", delta, gain)(bumped, np.arange(2)) - changed).abs().sum(dim=(0, 1)) > 0
    assert apart.nonzero().tolist() == [[2, 2]]
    pattern = GoalPattern("stem", delta[0], delta[0], rectified=False)
    gated = GatedPattern(pattern, torch.zeros(3, 5, 5), torch.zeros(3, 5, 5))
    goals, targets = np.array([7, 8], np.int32), np.array([12, 13], np.int32)
    plain: Cells = np.arange(2)
    same = pattern.edit(GoalMove(goals, targets, 5, 5))(maps, plain)
    torch.testing.assert_close(gated.edit(GoalMove(goals, targets, 5, 5))(maps, plain), same)


def test_only_what_lies_above_the_site_is_fresh_and_as_long_as_it_was(policy: NetworkPolicy) -> None:
    blank = untrained_above(policy.network, "block1", 5)
    above = set(used_above(policy.network, "block1"))
    assert {name.partition(".")[0] for name in above} == {"block2", "hidden", "policy", "value"}
    for name, tensor in policy.network.state_dict().items():
        other = blank.state_dict()[name]
        assert torch.equal(other, tensor) == (name not in above or not bool(tensor.any()))
        if tensor.dim() > 1:
            torch.testing.assert_close(other.norm(), tensor.norm())
    with pytest.raises(GoalmazeError, match="unknown site"):
        untrained_above(policy.network, "block9", 0)


def test_a_recurrent_layer_below_and_above_is_kept(family: Family) -> None:
    options = {"channels": 4, "layers": 1, "ticks": 2, "hidden": 8}
    network = make_network("drc", Shape.seeing(make_view(family)), options)
    above = used_above(network, "tick1_layer1")
    held: dict[str, Tensor] = network.state_dict()
    assert 0 < len(above) < len(held)
    assert not any(name.startswith("cell") for name in above)
