"""Edits change the levels they are made for, prove that they acted, and leave nothing behind."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.envs.ascii import read_ascii
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family, LevelBatch, concatenate
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.activations import captured, read_activations
from goalmaze.probes.edits.base import Add, Edit, applied
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.information import WALLS, uses_only_cells

SITES = ["stem", "block1", "block2", "hidden"]


@dataclasses.dataclass(frozen=True, eq=False)
class Scale(Edit):
    """Multiplies the activation."""

    factor: float

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        return activation * self.factor


@dataclasses.dataclass(frozen=True, eq=False)
class Crop(Edit):
    """Changes the shape of the activation, as no edit may."""

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        return activation[:, 1:]


def logits(policy: NetworkPolicy, levels: LevelBatch) -> Tensor:
    with torch.inference_mode():
        return policy.logits(np.arange(len(levels)), torch.from_numpy(first_observations(levels)))


def hooks(network: Network) -> int:
    return sum(len(module._forward_hooks) for module in network.modules())


def delta(levels: LevelBatch, site: str = "block1") -> Tensor:
    shape = (16,) if site == "hidden" else (8, 7, 7)
    return torch.randn(len(levels), *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("site", SITES)
def test_an_edit_changes_the_logits_and_is_removed(policy: NetworkPolicy, levels: LevelBatch, site: str) -> None:
    before = logits(policy, levels)
    with applied(policy, [Add(site, delta(levels, site))]):
        assert hooks(policy.network) == 1
        during = logits(policy, levels)
    assert not torch.equal(during, before)
    assert torch.equal(logits(policy, levels), before)
    assert hooks(policy.network) == 0


def test_an_edit_is_removed_after_an_error_inside(policy: NetworkPolicy, levels: LevelBatch) -> None:
    before = logits(policy, levels)
    edits = [Add("stem", delta(levels)), Scale("hidden", 2.0)]
    for times in (0, 1):

        def fail(times: int = times) -> None:
            with applied(policy, edits):
                for _ in range(times):
                    assert not torch.equal(logits(policy, levels), before)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert hooks(policy.network) == 0
        assert torch.equal(logits(policy, levels), before)


def test_an_unknown_site_attaches_nothing(policy: NetworkPolicy, levels: LevelBatch) -> None:
    edits = [Add("stem", delta(levels)), Add("blok2", delta(levels))]
    with pytest.raises(GoalmazeError, match="unknown site of network grid 'blok2'"), applied(policy, edits):
        pytest.fail("the context was entered")
    with pytest.raises(GoalmazeError, match="unknown site"), captured(policy.network, ["stem", "nowhere"]):
        pytest.fail("the context was entered")
    assert hooks(policy.network) == 0


def test_an_edit_that_never_fired_is_an_error(policy: NetworkPolicy, levels: LevelBatch) -> None:
    with (
        pytest.raises(GoalmazeError, match="the edit at site 'hidden' never fired"),
        applied(policy, [Scale("hidden", 2.0)]),
    ):
        pass
    with (
        policy.about(EditContext.at_start(np.arange(24))),
        pytest.raises(GoalmazeError, match="the edit at site 'hidden' never fired"),
        applied(policy, [Add("stem", delta(levels)), Scale("hidden", 2.0)]),
    ):
        policy.network.get_submodule("stem")(torch.zeros(24, 4, 7, 7))


@pytest.mark.parametrize("shape", [(24, 8, 9, 9), (24, 7, 7, 7), (24, 1, 7, 7), (24, 8, 1, 1), (24, 8)])
def test_a_delta_of_another_shape_is_refused_even_where_it_would_broadcast(
    policy: NetworkPolicy, levels: LevelBatch, shape: tuple[int, ...]
) -> None:
    message = r"edit at site 'block2' has shape .*the activation of a level \(8, 7, 7\)"
    with pytest.raises(GoalmazeError, match=message), applied(policy, [Add("block2", torch.ones(shape))]):
        logits(policy, levels)
    assert hooks(policy.network) == 0


def test_an_edit_may_not_change_the_shape(policy: NetworkPolicy, levels: LevelBatch) -> None:
    with pytest.raises(GoalmazeError, match="edit at site 'stem' changed the shape"), applied(policy, [Crop("stem")]):
        logits(policy, levels)


def test_an_edited_network_run_without_its_policy_is_refused(policy: NetworkPolicy, levels: LevelBatch) -> None:
    edit = Add("stem", delta(levels))
    with pytest.raises(GoalmazeError, match="run without its policy"), applied(policy, [edit]):
        policy.network(torch.from_numpy(first_observations(levels)))


def test_strength_zero_changes_not_one_bit(policy: NetworkPolicy, levels: LevelBatch) -> None:
    before = logits(policy, levels)
    for strength, same in ((0.0, True), (-0.0, True), (1e-2, False)):
        edit = Add("block1", delta(levels) + torch.inf if same else delta(levels), strength=strength)
        with applied(policy, [edit]):
            assert torch.equal(logits(policy, levels), before) == same


@pytest.mark.parametrize("site", SITES)
def test_edits_at_one_site_apply_in_order(policy: NetworkPolicy, levels: LevelBatch, site: str) -> None:
    activation = read_activations(policy.network, first_observations(levels), [site])[site]
    add, double = Add(site, delta(levels, site), strength=0.5), Scale(site, 2.0)
    by_hand = {(add, double): (activation + 0.5 * add.delta) * 2, (double, add): activation * 2 + 0.5 * add.delta}
    for edits, expected in by_hand.items():
        with applied(policy, edits), captured(policy.network, [site]) as latest:
            logits(policy, levels)
        torch.testing.assert_close(latest[site], expected)
    assert not torch.allclose(*by_hand.values())


def test_an_edit_reaches_the_sites_after_it_and_none_before(policy: NetworkPolicy, levels: LevelBatch) -> None:
    activation = read_activations(policy.network, first_observations(levels), SITES)
    with applied(policy, [Add("block1", delta(levels))]), captured(policy.network, SITES) as latest:
        logits(policy, levels)
    assert [torch.equal(latest[site], activation[site]) for site in SITES] == [True, False, False, False]


def test_contexts_nest(policy: NetworkPolicy, levels: LevelBatch) -> None:
    inner, outer = Add("stem", delta(levels)), Scale("block2", 2.0)
    with applied(policy, [outer]):
        only_outer = logits(policy, levels)
        with applied(policy, [inner]):
            both = logits(policy, levels)
        assert torch.equal(logits(policy, levels), only_outer)
    with applied(policy, [inner, outer]):
        assert torch.equal(logits(policy, levels), both)
    assert not torch.equal(both, only_outer)


def test_each_level_keeps_its_delta_when_others_have_finished(linear: NetworkPolicy, family: Family) -> None:
    levels = read_ascii(
        "#######\n#AE...#\n#.#.#.#\n#.....#\n#.#.#.#\n#.....#\n#######\n\n"
        "#######\n#E....#\n#.#.#.#\n#.....#\n#.#.#.#\n#....A#\n#######\n\n"
        "#######\n#..A..#\n#.#.#.#\n#.....#\n#.#E#.#\n#.....#\n#######\n\n"
        "#######\n#....A#\n#.#.#.#\n#.....#\n#.#.#.#\n#E....#\n#######",
        family,
    )
    pushes = [1, 0, 2, 3]
    forces = torch.zeros(4, 5, 7, 7)
    forces[range(4), pushes] = 1e3
    with applied(linear, [Add("map", forces)]):
        together = rollout(linear, levels)
    np.testing.assert_array_equal(together.steps, [1, family.time_limit, 3, family.time_limit])
    for b, push in enumerate(pushes):
        taken = together.actions[: together.steps[b], b]
        np.testing.assert_array_equal(taken, push)
    assert together.agent[-1].tolist() == [9, 12, 31, 8]


def test_a_level_does_not_depend_on_which_others_have_finished(
    policy: NetworkPolicy, family: Family, levels: LevelBatch
) -> None:
    policy.network.get_parameter("policy.weight").data.mul_(0.2)
    edit = Add("block2", delta(levels))
    with applied(policy, [edit]):
        first = rollout(policy, levels, seed=2)
    mine = np.arange(0, len(levels), 2)
    others = family.levels(77, np.arange(24))
    mixed = concatenate([(levels if b in mine else others).take([b]) for b in range(24)])
    changed = edit.delta.clone()
    changed[1::2] = -changed[1::2]
    with applied(policy, [Add("block2", changed)]):
        second = rollout(policy, mixed, seed=2)
    np.testing.assert_array_equal(first.steps[mine], second.steps[mine])
    until = int(first.steps[mine].max())
    np.testing.assert_array_equal(first.actions[:until, mine], second.actions[:until, mine])
    assert not np.array_equal(first.steps, second.steps)
    assert len(np.unique(first.steps)) > 5
    unedited = rollout(policy, levels, seed=2)
    assert not np.array_equal(unedited.steps[mine], first.steps[mine])


def test_reading_changes_no_logit_and_does_not_depend_on_the_batch_size(
    policy: NetworkPolicy, levels: LevelBatch
) -> None:
    before = logits(policy, levels)
    observations = first_observations(levels)
    whole = read_activations(policy.network, observations, SITES)
    parts = read_activations(policy.network, observations, SITES, batch=7)
    for site in SITES:
        torch.testing.assert_close(parts[site], whole[site])
    assert hooks(policy.network) == 0
    assert torch.equal(logits(policy, levels), before)


def test_captured_activations_are_not_changed_by_the_next_pass(
    policy: NetworkPolicy, family: Family, levels: LevelBatch
) -> None:
    with captured(policy.network, ["block1"]) as latest:
        logits(policy, levels)
        first = latest["block1"]
        copy = first.clone()
        logits(policy, family.levels(5, np.arange(24)))
        assert torch.equal(first, copy)
        assert not torch.equal(latest["block1"], first)


def test_an_edit_is_frozen(levels: LevelBatch) -> None:
    for edit in (Add("stem", delta(levels)), Scale("stem", 1.0)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            edit.site = "block1"  # type: ignore[misc]


def test_an_edit_of_the_first_steps_that_never_acted_is_an_error(policy: NetworkPolicy, levels: LevelBatch) -> None:
    rows, observations = np.arange(24), torch.from_numpy(first_observations(levels))
    with (
        pytest.raises(GoalmazeError, match="the edit at site 'stem' never fired"),
        applied(policy, [Scale("stem", 2.0, first_steps=1)]),
    ):
        policy.logits(rows, observations, steps=np.ones(24, np.int64))


def test_too_few_rows_are_refused_in_one_line(policy: NetworkPolicy, levels: LevelBatch) -> None:
    short = Add("stem", delta(levels)[:20])
    message = "edit at site 'stem' is for 20 levels, level 23 is being played; make it for the levels"
    with pytest.raises(GoalmazeError, match=message), applied(policy, [short]):
        logits(policy, levels)
    assert hooks(policy.network) == 0


@dataclasses.dataclass(frozen=True, eq=False)
class Recorder(Edit):
    """Changes nothing and records the levels of each forward pass at which it acts."""

    levels: list[list[int]]

    def changed(self, activation: Tensor, context: EditContext) -> Tensor:
        self.levels.append(context.rows.tolist())
        return activation * 1.0


def networks() -> list[tuple[str, dict[str, int], str]]:
    return [
        ("grid", {"channels": 4, "blocks": 1, "hidden": 8}, "block1"),
        ("lstm", {"channels": 4, "blocks": 1, "hidden": 8, "units": 8}, "cell_state"),
        ("drc", {"channels": 4, "layers": 1, "ticks": 2, "hidden": 8}, "tick2_layer1"),
    ]


def made(name: str, options: dict[str, int], family: Family) -> NetworkPolicy:
    torch.manual_seed(3)
    return NetworkPolicy(make_network(name, Shape.seeing(make_view(family)), options))


@pytest.mark.parametrize(("name", "options", "site"), networks())
@pytest.mark.parametrize("steps", [1, 3])
def test_only_the_first_steps_of_every_episode_are_edited(
    family: Family, levels: LevelBatch, name: str, options: dict[str, int], site: str, steps: int
) -> None:
    policy = made(name, options, family)
    whole: list[list[int]] = []
    first: list[list[int]] = []
    with applied(policy, [Recorder(site, whole), Recorder(site, first, first_steps=steps)]):
        one = rollout(policy, levels)
        taken = len(whole)
        rollout(policy, levels)
    assert len(one.actions) == taken > 3
    assert first == whole[:steps] + whole[taken : taken + steps]


@pytest.mark.parametrize(("name", "options", "site"), networks())
def test_an_edit_of_the_first_step_leaves_later_steps_to_the_agent(
    family: Family, levels: LevelBatch, name: str, options: dict[str, int], site: str
) -> None:
    policy = made(name, options, family)
    push = Scale(site, -30.0)

    def probabilities(edits: list[Edit]) -> list[np.ndarray]:
        with applied(policy, edits):
            actor = policy.begin(levels)
            observations = first_observations(levels)
            return [actor.probabilities(np.arange(24), observations, levels.start) for _ in range(3)]

    none, always, first = (
        probabilities([]),
        probabilities([push]),
        probabilities([dataclasses.replace(push, first_steps=1)]),
    )
    np.testing.assert_array_equal(first[0], always[0])
    assert not np.array_equal(first[0], none[0])
    assert not np.array_equal(first[1], always[1])
    if name == "grid":
        np.testing.assert_array_equal(first[1], none[1])


def test_steps_are_counted_for_each_level_by_itself(policy: NetworkPolicy, levels: LevelBatch) -> None:
    observations = first_observations(levels)
    plain = policy.begin(levels).probabilities(np.arange(24), observations, levels.start)
    with applied(policy, [Scale("block1", 3.0, first_steps=1)]):
        actor = policy.begin(levels)
        early = actor.probabilities(np.arange(12), observations[:12], levels.start[:12])
        mixed = actor.probabilities(np.arange(24), observations, levels.start)
    np.testing.assert_allclose(mixed[:12], plain[:12], atol=1e-6)
    assert np.abs(early - plain[:12]).max() > 1e-3
    assert np.abs(mixed[12:] - plain[12:]).max() > 1e-3


def test_edits_of_first_steps_nest(policy: NetworkPolicy, levels: LevelBatch) -> None:
    inner: list[list[int]] = []
    outer: list[list[int]] = []
    with applied(policy, [Recorder("stem", outer, first_steps=2)]):
        with applied(policy, [Recorder("stem", inner, first_steps=1)]):
            rollout(policy, levels)
        rollout(policy, levels)
    assert (len(inner), len(outer)) == (1, 4)
    with pytest.raises(GoalmazeError, match="cannot act at 0 steps"):
        Scale("stem", 1.0, first_steps=0)


def test_an_edit_that_does_not_state_its_facts_uses_all_of_them(levels: LevelBatch) -> None:
    silent = Scale("stem", 1.0)
    assert silent.uses == Add("stem", delta(levels)).uses
    assert not uses_only_cells(silent.uses)
    pattern = GoalPattern("stem", torch.ones(8, 1, 1), torch.ones(8, 1, 1), True).edit(
        GoalMove(levels.start, levels.start, 7, 7)
    )
    assert uses_only_cells(pattern.uses)
    assert not uses_only_cells(frozenset({WALLS}))
