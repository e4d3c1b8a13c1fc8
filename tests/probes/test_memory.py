"""Memory between steps: what its sites hold, edits at given steps, tables of goal cells; against loops by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import RecurrentNetwork, Shape
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import rollout
from goalmaze.agents.sites import find_site, is_memory_site
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.observations.views import make_view
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.base import Add, Edit, applied, at_first_steps, at_steps
from goalmaze.probes.edits.cell_table import RIDGE, ROW_COLUMN_RIDGE, cell_design
from goalmaze.probes.edits.memory import activations_along
from goalmaze.probes.edits.memory_table import FREE, GoalMemories, fit_memory_table, memory_samples
from goalmaze.probes.edits.patches import Patch
from goalmaze.probes.targets import draw_targets

OPTIONS = {
    "lstm": {"channels": 4, "blocks": 1, "hidden": 8, "units": 6},
    "drc": {"layers": 2, "ticks": 2, "channels": 4, "hidden": 8},
    "impala-lstm": {"units": 6},
}
PARTS = {
    "lstm": ["memory_hidden", "memory_cell"],
    "drc": ["memory_layer1_hidden", "memory_layer1_cell", "memory_layer2_hidden", "memory_layer2_cell"],
    "impala-lstm": ["memory_hidden", "memory_cell"],
}
STEPS = 4


@pytest.fixture(scope="module")
def family() -> Family:
    return make_family("Glimpse", {"size": 7})


@pytest.fixture(scope="module")
def levels(family: Family) -> LevelBatch:
    return family.levels(0, count=12)


def policy_of(name: str, family: Family) -> NetworkPolicy:
    torch.manual_seed(0)
    return NetworkPolicy(make_network(name, Shape.seeing(make_view(family)), OPTIONS[name]))


def actions_of(levels: LevelBatch) -> np.ndarray:
    return np.random.default_rng(0).integers(4, size=(STEPS, len(levels))).astype(np.int8)


@torch.inference_mode()
def by_hand(policy: NetworkPolicy, levels: LevelBatch, added: dict[int, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return logits and flattened memory [B, ...] of every step; `added` is put to the memory behind a step."""
    network, engine = policy.network, MazeEngine.from_levels(levels)
    assert isinstance(network, RecurrentNetwork)
    memory, logits, memories = network.initial_memory(len(levels), engine.observe().shape[1:]), [], []
    for number, actions in enumerate(actions_of(levels), start=1):
        step_logits, _, memory = network.step(torch.from_numpy(engine.observe().copy()), memory)
        memory = memory + added.get(number, torch.zeros(())).reshape(memory.shape if number in added else ())
        logits.append(step_logits)
        memories.append(memory.flatten(1))
        engine.step(actions)
    return logits, memories


def forced(policy: NetworkPolicy, levels: LevelBatch, edits: list[Edit]) -> list[Tensor]:
    """Return the probabilities [B, 4] of every step along the given actions, under edits."""
    engine, actor, rows = MazeEngine.from_levels(levels), policy.begin(levels), np.arange(len(levels))
    result = []
    with applied(policy, edits):
        for actions in actions_of(levels):
            result.append(torch.from_numpy(actor.probabilities(rows, engine.observe(), engine.agent)))
            engine.step(actions)
    return result


@pytest.mark.parametrize("name", OPTIONS)
def test_memory_sites_hold_the_memory_that_a_step_returns(name: str, family: Family, levels: LevelBatch) -> None:
    policy = policy_of(name, family)
    _, memories = by_hand(policy, levels, {})
    for after in (1, 3):
        whole = activations_along(policy, levels, "memory", after, actions_of(levels))
        torch.testing.assert_close(whole.flatten(1), memories[after - 1], rtol=0, atol=1e-6)
        parts = [activations_along(policy, levels, part, after, actions_of(levels)) for part in PARTS[name]]
        assert torch.equal(torch.cat(parts, 1), whole)
        for site, activation in zip(["memory", *PARTS[name]], [whole, *parts], strict=True):
            assert find_site(policy.network, site)[0].channels == activation.shape[1]
            assert is_memory_site(policy.network, site)
    assert not is_memory_site(policy.network, policy.network.sites()[0].name)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_edit_of_the_memory_changes_what_follows_and_nothing_before(
    name: str, family: Family, levels: LevelBatch
) -> None:
    policy = policy_of(name, family)
    shape = activations_along(policy, levels, "memory", 1).shape
    delta = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    once = at_steps([Add("memory", delta)], (2,))
    plain, edited = forced(policy, levels, []), forced(policy, levels, once)
    expected, _ = by_hand(policy, levels, {2: delta})
    for number in range(STEPS):
        assert torch.equal(plain[number], edited[number]) == (number < 2)
        torch.testing.assert_close(edited[number], expected[number].softmax(1), rtol=0, atol=1e-5)
    # There and back again, at once: what is left is the rounding.
    both = [*once, *at_steps([Add("memory", -delta)], (2,))]
    for one, other in zip(forced(policy, levels, both), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_edits_act_at_the_steps_that_are_named() -> None:
    edit = Add("memory", torch.zeros(1))
    context = np.arange(6)

    def steps_of(one: Edit) -> list[int]:
        return (np.flatnonzero(one.acts_at(EditContext(context, context))) + 1).tolist()

    assert steps_of(edit) == [1, 2, 3, 4, 5, 6]
    assert steps_of(dataclasses.replace(edit, at_steps=(1, 4))) == [1, 4]
    assert steps_of(at_first_steps(at_steps([edit], (3,)), 2)[0]) == [1, 2]
    with pytest.raises(GoalmazeError, match="after step 0 comes before the agent has seen its goal"):
        dataclasses.replace(edit, at_steps=(0,))
    with pytest.raises(GoalmazeError, match="acts at no step"):
        dataclasses.replace(edit, at_steps=())
    with pytest.raises(GoalmazeError, match="first_steps and at_steps"):
        dataclasses.replace(edit, at_steps=(1,), first_steps=2)


def test_a_network_without_memory_has_no_memory_sites(family: Family) -> None:
    network = make_network("grid", Shape.seeing(make_view(family)), {"channels": 4, "blocks": 1, "hidden": 8})
    assert network.memory_sites() == ()
    with pytest.raises(GoalmazeError, match="network grid has no memory, so it has no site 'memory'"):
        find_site(network, "memory")


@pytest.mark.parametrize(("visible", "same"), [(1, True), (0, False)])
def test_the_memory_of_a_moved_level_makes_the_agent_one_of_that_level(visible: int, same: bool) -> None:
    """Once nothing shows, the memory alone says where the goal is; where objects stay, the observation says it too."""
    family = make_family("Glimpse", {"size": 7, "visible_steps": visible})
    levels, policy = family.levels(0, count=12), policy_of("lstm", family)
    moved = levels.with_goal_and_cue_at(draw_targets(levels, 1))
    swap = at_steps([Patch("memory", source=activations_along(policy, moved, "memory", 1))], (1,))
    swapped, there = forced(policy, levels, swap), forced(policy, moved, [])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(swapped[1:], there[1:], strict=True)) == same


@pytest.mark.parametrize("with_start", [True, False])
@pytest.mark.parametrize("after", [1, 3])
def test_a_memory_table_is_the_ridge_regression_on_the_goals_cell(
    with_start: bool, after: int, family: Family, levels: LevelBatch
) -> None:
    policy = policy_of("lstm", family)
    context = FitContext(policy, levels.moved("sign", levels.cells("exit")), seed=3)
    table = fit_memory_table(GoalMemories.gathered(context, "memory_cell", after), with_start=with_start)
    goals, starts, activations = (
        np.concatenate(one) for one in zip(*memory_samples(context, "memory_cell", after), strict=True)
    )
    design = cell_design(7, 7).numpy().astype(float)
    penalty = np.concatenate([np.full(14, RIDGE * ROW_COLUMN_RIDGE), np.full(49, RIDGE)])
    parts, penalties = [np.ones((len(goals), 1)), design[goals]], [np.full(1, FREE), penalty]
    if with_start:
        parts, penalties = [*parts, design[starts]], [*penalties, penalty]
    # scikit-learn penalises all columns alike, so each is scaled by the root of its own penalty.
    roots = np.sqrt(np.concatenate(penalties))
    ridge = Ridge(alpha=1.0, fit_intercept=False, solver="svd").fit(np.concatenate(parts, 1) / roots, activations)
    expected = design @ (ridge.coef_ / roots)[:, 1:64].T
    np.testing.assert_allclose(table.at_target.numpy(), expected, atol=2e-4)
    assert torch.equal(table.at_target, table.at_goal)


def test_samples_of_later_steps_are_of_episodes_under_way(family: Family, levels: LevelBatch) -> None:
    policy = policy_of("lstm", family)
    context = FitContext(policy, levels)
    played = rollout(policy, levels, seed=0)
    late = int(played.steps.min()) + 1
    first = next(iter(memory_samples(context, "memory", late)))
    assert len(first[0]) == int((played.steps >= late).sum()) < len(levels)
    assert np.array_equal(first[0], levels.cells("exit")[played.steps >= late])
