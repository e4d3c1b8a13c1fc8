"""Channels explained by formulas: planted ones are recovered, noise is not explained, replacements do what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goalmaze.agents.loading import load_agent
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import NEVER, rollout
from goalmaze.envs.actions import ACTIONS, MOVES
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family, LevelBatch
from goalmaze.envs.solving import distances, lies_on_shortest_path
from goalmaze.probes.activations import read_activations
from goalmaze.probes.units.channels import read_channels
from goalmaze.probes.units.circuit import added_by, block_pairs
from goalmaze.probes.units.interventions import behaviour, divergence, field_of, probabilities, replacement
from goalmaze.probes.units.library import Library, compute_library
from goalmaze.probes.units.scores import errors_by_maze, fidelity
from goalmaze.probes.units.search import Samples, search
from goalmaze.probes.units.states import MazeStates, Values


@pytest.fixture(scope="module")
def apart() -> LevelBatch:
    return make_family("GreenExit", {"size": 7, "braid": 0.3}).levels(0, count=96, shift="moved-sign")


@pytest.fixture(scope="module")
def library(apart: LevelBatch) -> Library:
    return compute_library(MazeStates(apart))


def samples(library: Library, targets: Values, rectified: bool = False) -> Samples:
    flat = library.flat()
    groups = np.arange(len(flat)) // library.values.shape[2]
    return Samples(flat, targets, groups, library.names, library.gates, np.full(targets.shape[1], rectified))


def test_planted_formulas_are_recovered_and_noise_is_not_explained(library: Library) -> None:
    columns = {name: values.ravel() for name, values in library.columns().items()}
    linear = 2 * columns["exit 1 east"] - 0.5 * columns["wall here"] + 1
    conjunction = 3 * columns["first step to the sign is up"] * columns["sign to the east"]
    noise = np.random.default_rng(0).normal(size=len(linear)).astype(np.float32)
    found = search(samples(library, np.stack([linear, conjunction, noise], axis=1)))
    assert {term.features: round(term.weight, 3) for term in found[0].terms} == {
        ("exit 1 east",): 2,
        ("wall here",): -0.5,
    }
    assert found[0].bias == pytest.approx(1, abs=1e-3)
    # Two factors, in either order, and nothing else.
    assert [set(term.features) for term in found[1].terms] == [{"first step to the sign is up", "sign to the east"}]
    assert found[1].terms[0].weight == pytest.approx(3, abs=1e-3)
    assert found[2].terms == ()
    assert found[2].words() == "nothing found"
    assert "exit 1 east" in found[0].words(1)


def test_a_rectified_channel_is_simulated_behind_its_relu(library: Library) -> None:
    columns = {name: values.ravel() for name, values in library.columns().items()}
    target = np.maximum(3 * columns["nearness of the exit"] - 2 * columns["wall 1 south"] - 0.3, 0)
    found = search(samples(library, target[:, None], rectified=True))[0]
    assert fidelity(target, found(columns)).r2 > 0.99


def test_features_agree_with_loops_over_single_squares(apart: LevelBatch, library: Library) -> None:
    """Distances by the solver of single levels, walls and objects by their coordinates."""
    width, columns = apart.width, library.columns()
    for b in (0, 5):
        sign, walls = int(apart.cells("sign")[b]), apart.walls[b]
        for square in np.flatnonzero(~walls.ravel()):
            row, column = divmod(int(square), width)
            assert columns["sign 2 south 1 west"][b, square] == (sign == (row + 2) * width + column - 1)
            assert columns["wall 1 north"][b, square] == walls[row - 1, column]
            assert columns["sign to the east"][b, square] == (sign % width > column)
            to_sign = distances(apart.take([b]), np.array([sign], np.int32))[0]
            assert columns["sign within 4 steps"][b, square] == (to_sign[square] <= 4)
            for action, (down, right) in zip(ACTIONS, MOVES, strict=True):
                there = to_sign[(row + down) * width + column + right]
                assert columns[f"first step to the sign is {action}"][b, square] == (there < to_sign[square])
            seen = column + 1
            while not walls[row, seen] and row * width + seen != sign:
                seen += 1
            assert columns["sign in sight east"][b, square] == (row * width + seen == sign)


def test_scores_have_their_closed_forms() -> None:
    rng = np.random.default_rng(1)
    actual = rng.normal(size=(50, 20)).astype(np.float32)
    assert fidelity(actual, actual).r2 == 1
    assert fidelity(actual, actual).detection == 1
    constant = fidelity(actual, np.full_like(actual, actual.mean()))
    assert constant.r2 == pytest.approx(0, abs=1e-5)
    assert (constant.correlation, constant.detection) == (0, 0.5)
    reversed_ = fidelity(actual, -actual)
    assert reversed_.correlation == pytest.approx(-1)
    assert np.isnan(fidelity(np.ones(5, np.float32), np.ones(5, np.float32)).r2)
    error, spread = errors_by_maze(actual, actual + 1, np.arange(50))
    assert 1 - error.sum() / spread.sum() == pytest.approx(fidelity(actual, actual + 1).r2, abs=1e-4)


def test_a_channel_replaced_by_itself_changes_nothing(policy: NetworkPolicy, family: Family) -> None:
    field = field_of(policy, family.levels(0, count=2, shift="moved-sign"), family.levels(1, count=2))
    before = probabilities(policy, field)
    for site in ("block1", "hidden"):
        channels = read_channels(policy, policy.network, field.states, [site])[site]
        sides = tuple(read_activations(policy.network, field.observations[:1], [site])[site].shape[1:])
        own = replacement(channels, [1], [channels.values[..., 1]], sides)
        assert divergence(before, probabilities(policy, field, [own])) < 1e-9
        everything = [np.zeros_like(channels.values[..., c]) for c in range(channels.count)]
        blank = replacement(channels, range(channels.count), everything, sides)
        assert divergence(before, probabilities(policy, field, [blank])) > 1e-3


def test_behaviour_by_transition_probabilities_is_that_of_rollouts() -> None:
    """With the likeliest action alone, both are deterministic and must agree level by level."""
    agent = load_agent("zoo:green-exit-faint")
    apart = agent.family.levels(3, count=12, shift="moved-sign")
    field = field_of(agent.policy, apart, agent.family.levels(4, count=4))
    likeliest = np.eye(4, dtype=np.float32)[probabilities(agent.policy, field).argmax(axis=1)]
    found = behaviour(field, likeliest)
    goals, cues = apart.cells("exit"), apart.cells("sign")
    played = rollout(agent.policy, apart, greedy=True)
    to_goal, to_cue = played.first_visit(goals), played.first_visit(cues)
    off = ~lies_on_shortest_path(apart, apart.start, cues, goals) & ~lies_on_shortest_path(
        apart, apart.start, goals, cues
    )
    counted = off & (np.minimum(to_goal, to_cue) < NEVER)
    assert counted.any()
    assert found.preference == pytest.approx(float((to_cue < to_goal)[counted].mean()))
    together = rollout(agent.policy, field.mazes.take(np.arange(12, 16)), greedy=True)
    assert found.solved == pytest.approx(float(together.terminated.mean()))


def test_what_the_edges_into_a_channel_add_is_what_its_convolution_computes(
    policy: NetworkPolicy, family: Family
) -> None:
    network = policy.network
    below, above = block_pairs(network)[-1]
    field = field_of(policy, family.levels(0, count=0), family.levels(1, count=1))
    maps = read_activations(network, field.observations, [below, above])
    parts = sum(added_by(network, above, maps[below], channel) for channel in range(maps[below].shape[1]))
    assert isinstance(parts, torch.Tensor)
    bias = network.get_submodule(above).get_submodule("conv").bias
    assert isinstance(bias, torch.Tensor)
    torch.testing.assert_close((parts + bias[:, None, None]).relu().detach(), maps[above], atol=1e-4, rtol=1e-4)
