"""Memory methods: each against what it must equal in a case that can be computed by hand."""

import dataclasses

import numpy as np
import pytest
import torch

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import RecurrentNetwork, Shape
from goalmaze.agents.policies import EditContext, NetworkPolicy
from goalmaze.agents.rollout import observations_of
from goalmaze.envs.engines import make_engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.solving import distances, pick
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.cell_table import CellTable, cell_design
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.edits.leace import Eraser
from goalmaze.probes.edits.memory_table import GoalMemories, expected_memories, fit_memory_table
from goalmaze.probes.rewriting.das import TakeCoordinates
from goalmaze.probes.rewriting.erase_and_write import ErasedMemory
from goalmaze.probes.rewriting.patch import StoredMemories
from goalmaze.probes.rewriting.registry import fit_memory_method, memory_methods
from goalmaze.probes.rewriting.scaled_channels import with_channel_factors
from goalmaze.probes.rewriting.walks import HORIZON, Walks

SIZE, LEVELS = 7, 24
OPTIONS = {"channels": 4, "blocks": 1, "hidden": 8, "units": 6}


@pytest.fixture(scope="module")
def context() -> FitContext:
    torch.manual_seed(0)
    family = make_family("Glimpse", {"size": SIZE})
    levels = family.levels(0, count=LEVELS)
    network = make_network("lstm", Shape.seeing(make_view(family)), OPTIONS)
    # An untrained head is nearly uniform, whatever the memory. A hundredfold one depends on it.
    with torch.no_grad():
        network.get_parameter("policy.weight").mul_(100)
    return FitContext(NetworkPolicy(network), levels.moved("sign", levels.cells("exit")), seed=3, effort=0.05)


@pytest.fixture(scope="module")
def memories(context: FitContext) -> GoalMemories:
    return GoalMemories.gathered(context, "memory", 1)


@pytest.fixture(scope="module")
def move(context: FitContext) -> GoalMove:
    # A target on which no goal lies, so that no edit may leave the memory as it is.
    return GoalMove.on(context.levels, int(np.flatnonzero(~np.isin(np.arange(SIZE**2), context.goals))[0]))


def changed(
    fitted: CellTable | ErasedMemory | StoredMemories, move: GoalMove, activations: torch.Tensor
) -> torch.Tensor:
    return fitted.edit(move)(activations, EditContext.at_start(np.arange(len(move))))


@pytest.mark.parametrize("name", sorted(memory_methods()))
def test_every_method_fits_edits_of_a_memory_that_use_what_they_say(
    name: str, memories: GoalMemories, move: GoalMove
) -> None:
    fitted, method = fit_memory_method(name, memories), memory_methods()[name]
    activations = memories.activations[: len(move)]
    (edit,) = fitted.edits(move)
    assert fitted.method == name
    assert fitted.uses == edit.uses == method.uses
    result = edit(activations, EditContext.at_start(np.arange(len(move))))
    assert result.shape == activations.shape
    assert not torch.equal(result, activations)


def test_a_low_rank_table_is_the_projection_of_the_table_onto_its_principal_axes(memories: GoalMemories) -> None:
    narrow, whole = fit_memory_method("low-rank-table", memories), fit_memory_table(memories)
    assert isinstance(narrow, CellTable)
    samples = whole.at_target[torch.from_numpy(memories.goals).long()].numpy()
    centred, mean = samples - samples.mean(0), samples.mean(0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    order = np.argsort(-values)
    rank = int((np.cumsum(values[order]) / values.sum() < 0.9).sum()) + 1
    assert rank < len(values)
    basis = axes[:, order[:rank]]
    expected = mean + (whole.at_target.numpy() - mean) @ basis @ basis.T
    np.testing.assert_allclose(narrow.at_target.numpy(), expected, atol=1e-4)


def test_erasing_leaves_no_linear_trace_of_the_goal_and_writes_the_target(
    memories: GoalMemories, move: GoalMove, context: FitContext
) -> None:
    fitted = fit_memory_method("erase-and-write", memories)
    assert isinstance(fitted, ErasedMemory)
    erased = fitted.eraser(memories.activations).double()
    concept = cell_design(SIZE, SIZE)[torch.from_numpy(memories.goals).long()].double()
    covariance = (erased - erased.mean(0)).T @ (concept - concept.mean(0)) / len(concept)
    assert float(covariance.abs().max()) < 1e-5
    # With nothing to erase, what is written is the target's expectation less the mean.
    keeper = dataclasses.replace(fitted, eraser=Eraser(fitted.eraser.mean, torch.zeros_like(fitted.eraser.projection)))
    activations = memories.activations[: len(move)]
    table = fit_memory_table(memories)
    expected = expected_memories(memories, table)[torch.from_numpy(move.targets).long()] - memories.activations.mean(0)
    torch.testing.assert_close(changed(keeper, move, activations), activations + expected, atol=1e-5, rtol=0)


def test_a_patch_is_the_memory_of_a_maze_with_its_goal_on_the_target(memories: GoalMemories) -> None:
    fitted = fit_memory_method("patch", memories)
    assert isinstance(fitted, StoredMemories)
    for cell in np.unique(memories.goals):
        assert torch.equal(fitted.stored[cell], memories.activations[memories.goals == cell][0])
    missing = np.setdiff1d(np.arange(SIZE**2), memories.goals)
    assert torch.equal(fitted.stored[missing[0]], memories.activations.mean(0))


def test_taking_all_coordinates_is_a_swap_and_taking_one_changes_that_one(memories: GoalMemories) -> None:
    base, source = memories.activations[:5], memories.activations[5:10]
    context = EditContext.at_start(np.arange(5))
    whole = TakeCoordinates("memory", basis=torch.eye(base.shape[1]), source=source)
    torch.testing.assert_close(whole(base, context), source)
    one = TakeCoordinates("memory", basis=torch.eye(base.shape[1])[:, 2:3], source=source)(base, context)
    torch.testing.assert_close(one[:, 2], source[:, 2])
    assert torch.equal(one[:, 3:], base[:, 3:])


def test_factors_of_zero_take_channels_out_of_a_table(memories: GoalMemories) -> None:
    table = fit_memory_table(memories)
    factors = torch.zeros(table.at_target.shape[1])
    factors[4] = 2
    scaled = with_channel_factors(table, factors)
    torch.testing.assert_close(scaled.at_target[:, 4], 2 * table.at_goal[:, 4])
    assert not scaled.at_goal[:, :4].any()


@pytest.mark.parametrize("after", [1, 2])
def test_the_loss_of_walks_is_that_of_a_loop_by_hand(after: int, context: FitContext) -> None:
    walks = Walks.drawn(context, after)
    network = context.policy.network
    assert isinstance(network, RecurrentNetwork)
    engine, losses = make_engine(walks.levels), []
    memory = network.initial_memory(len(walks.levels), observations_of(context.policy, walks.levels).shape[1:])
    blocked = walks.levels.walls.copy()
    rows = np.flatnonzero(walks.move.goals != walks.move.targets)
    blocked.reshape(len(blocked), -1)[rows, walks.move.goals[rows]] = True
    remaining = distances(dataclasses.replace(walks.levels, walls=blocked), walks.move.targets)
    free = distances(walks.levels, walks.move.targets)
    over_goal = pick(remaining, walks.levels.start) > SIZE**2
    remaining[over_goal] = free[over_goal]
    with torch.no_grad():
        for step in range(after + HORIZON):
            logits, _, memory = network.step(torch.from_numpy(engine.observe().copy()), memory)
            if step >= after - 1:
                for row in np.flatnonzero(~engine.done):
                    cell, probabilities = engine.agent[row], logits[row].softmax(0)
                    nearer = [remaining[row, cell + d] < remaining[row, cell] for d in (-SIZE, 1, SIZE, -1)]
                    if any(nearer):
                        losses.append(-np.log(float(probabilities[torch.tensor(nearer)].sum())))
            engine.step(walks.actions[step])
    assert float(walks.loss([]).detach()) == pytest.approx(float(np.mean(losses)), abs=1e-4)


def test_learning_lowers_the_loss_of_the_walks(context: FitContext) -> None:
    context = dataclasses.replace(context, effort=0.3)
    memories = GoalMemories.gathered(context, "memory", 1)
    walks, start = Walks.drawn(context, 1), fit_memory_table(memories)
    learned = fit_memory_method("learned-goal-table", memories)
    assert (
        float(walks.loss(learned.edits(walks.move)).detach())
        < float(walks.loss(start.edits(walks.move)).detach()) - 0.01
    )


def test_a_step_that_no_episode_reaches_is_refused(context: FitContext) -> None:
    with pytest.raises(GoalmazeError, match="end before step 100000"):
        GoalMemories.gathered(dataclasses.replace(context, levels=context.levels.take(np.arange(2))), "memory", 100000)
