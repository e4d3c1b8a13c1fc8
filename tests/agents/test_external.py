"""Networks made from a module of the user's own: a tiny CNN through rollouts, activations, edits and experiments."""

from __future__ import annotations

import copy
import doctest
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import Agent
from goalmaze.agents.networks import external, known_networks
from goalmaze.agents.networks.base import Site
from goalmaze.agents.networks.external import ExternalNetwork, wrap_module
from goalmaze.agents.policies import NetworkPolicy
from goalmaze.agents.rollout import observations_of, rollout
from goalmaze.agents.sites import find_site, map_sites
from goalmaze.envs.engines import first_observations
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.counter_rng import uniforms
from goalmaze.envs.levels import Family
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.probes.activations import read_activations
from goalmaze.probes.controls import untrained_above, used_above
from goalmaze.probes.edits.base import Add, applied

SIZE = 7
CELLS = SIZE**2


def tiny_cnn() -> nn.Sequential:
    """Return a convolution, a rectifier, features and logits of definite preferences."""
    torch.manual_seed(0)
    layers = nn.Conv2d(4, 3, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(3 * CELLS, 8), nn.Linear(8, 4)
    nn.init.orthogonal_(layers[-1].weight, 4.0)
    return nn.Sequential(*layers)


class ActorCritic(nn.Module):
    """A body of sequential parts with two heads, a part that runs twice and one that returns a pair."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 3, 3, padding=1), nn.ReLU(inplace=True))
        self.pool = nn.MaxPool2d(2)
        self.twice = nn.Tanh()
        self.pair = nn.LSTM(3 * 9, 6, batch_first=True)
        self.actor, self.critic, self.unused = nn.Linear(6, 4), nn.Linear(6, 1), nn.Linear(2, 2)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.twice(self.pool(self.body(observation)))
        features, _ = self.pair(maps.flatten(1)[:, None])
        features = self.twice(features[:, 0])
        return self.actor(features), self.critic(features)


@pytest.fixture
def module() -> nn.Sequential:
    return tiny_cnn()


@pytest.fixture
def wrapped(module: nn.Sequential, family: Family) -> ExternalNetwork:
    return wrap_module(module, family)


def by_hand(module: nn.Sequential, observations: Tensor, delta: Tensor | float = 0.0) -> Tensor:
    """Return the logits of the tiny CNN from its weights, with something added to the rectified maps."""
    with torch.inference_mode():
        maps = nn.functional.conv2d(observations.float(), module[0].weight, module[0].bias, padding=1)
        rectified = maps.clamp(min=0) + delta
        features = rectified.reshape(len(observations), -1) @ module[3].weight.T + module[3].bias
        return features @ module[4].weight.T + module[4].bias


def test_rollouts_equal_a_loop_written_by_hand(module: nn.Sequential, wrapped: ExternalNetwork, family: Family) -> None:
    levels, seed = family.levels(0, np.arange(12)), 3
    trajectory = rollout(Agent(wrapped, family).policy, levels, seed=seed)
    for b in range(len(levels)):
        level = levels.take([b])
        episodes, step = MazeEngine.from_levels(level), 0
        while not episodes.done[0]:
            probabilities = by_hand(module, torch.from_numpy(episodes.observe())).softmax(1)[0].double().numpy()
            draw = np.empty(1)
            uniforms(seed, np.array([b]), step, draw)
            action = int((draw[0] * probabilities.sum() >= np.cumsum(probabilities)).sum())
            assert trajectory.actions[step, b] == action
            assert trajectory.action_probabilities[step, b] == pytest.approx(probabilities[action], abs=1e-5)
            episodes.step(np.array([action], np.int8))
            step += 1
        assert trajectory.steps[b] == step
        assert trajectory.terminated[b] == episodes.terminated[0]
    assert len(np.unique(trajectory.actions[trajectory.actions >= 0])) == 4


def test_another_module_takes_other_paths(wrapped: ExternalNetwork, family: Family) -> None:
    levels = family.levels(0, np.arange(12))
    other = wrap_module(wrapped.untrained(1).get_submodule("module"), family)
    here, there = (rollout(NetworkPolicy(network), levels).action_probabilities[0] for network in (wrapped, other))
    assert not np.allclose(here, there, atol=0.01)


def test_a_number_of_actions_that_nobody_can_play_is_refused(module: nn.Sequential, family: Family) -> None:
    with pytest.raises(GoalmazeError, match="the network has 5 actions: agents in mazes have 4, or Procgen's 15"):
        wrap_module(module, family, actions=5)


def test_sites_are_the_submodules_with_one_output_in_order(wrapped: ExternalNetwork) -> None:
    assert wrapped.sites() == (
        Site("0", 3, is_map=True, path="module.0"),
        Site("1", 3, is_map=True, path="module.1"),
        Site("2", 3 * CELLS, is_map=False, path="module.2"),
        Site("3", 8, is_map=False, path="module.3"),
        Site("4", 4, is_map=False, path="module.4"),
    )
    assert map_sites(wrapped) == ["0", "1"]


def test_a_captured_site_equals_a_forward_pass_by_hand(module: nn.Sequential, family: Family) -> None:
    network = wrap_module(module, family, sites={"rectified": "1", "features": "3"})
    assert Agent(network, family).sites == ("rectified", "features")
    assert find_site(network, "rectified")[1] is module[1]
    seen = first_observations(family.levels(1, np.arange(20)))
    latest = read_activations(network, seen, ["rectified", "features"])
    with torch.inference_mode():
        expected = module[1](module[0](torch.from_numpy(seen).float()))
        assert torch.equal(latest["rectified"], expected)
        assert torch.equal(latest["features"], module[3](expected.flatten(1)))
    assert not torch.equal(latest["rectified"], module[0](torch.from_numpy(seen).float()))
    with pytest.raises(GoalmazeError, match="unknown site of network Sequential '1'"):
        find_site(network, "1")


def test_an_edit_changes_the_logits_as_by_hand_and_comes_off(
    module: nn.Sequential, wrapped: ExternalNetwork, family: Family
) -> None:
    levels, policy, rows = family.levels(2, np.arange(9)), NetworkPolicy(wrapped), np.arange(9)
    observations = torch.from_numpy(observations_of(policy, levels))
    delta = torch.randn(9, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before = policy.logits(rows, observations)
        with applied(policy, [Add("1", delta)]):
            edited = policy.logits(rows, observations)
        with applied(policy, [Add("1", torch.zeros_like(delta))]):
            unchanged = policy.logits(rows, observations)
        after = policy.logits(rows, observations)
    torch.testing.assert_close(edited, by_hand(module, observations, delta), rtol=0, atol=1e-4)
    assert (edited - before).abs().max() > 0.1
    assert torch.equal(unchanged, before)
    assert torch.equal(after, before)
    assert not module[1]._forward_hooks


def test_a_module_with_values_returns_them_and_its_ambiguous_parts_are_no_sites(family: Family) -> None:
    torch.manual_seed(0)
    module = ActorCritic()
    network = wrap_module(module, family)
    assert [(site.name, site.is_map) for site in network.sites()] == [
        ("body.1", True),
        ("body", True),
        ("pool", False),
        ("actor", False),
        ("critic", False),
    ]
    observations = torch.from_numpy(first_observations(family.levels(0, np.arange(6))))
    with torch.inference_mode():
        logits, values = network(observations)
        expected = module(observations.float())
    assert torch.equal(logits, expected[0])
    assert torch.equal(values, expected[1][:, 0])
    flat = wrap_module(_Returning(lambda obs: (torch.zeros(len(obs), 4), obs.flatten(1).sum(1))), family)
    assert torch.equal(flat(observations)[1], observations.float().flatten(1).sum(1))
    assert not wrap_module(tiny_cnn(), family)(observations)[1].any()


class _Returning(nn.Module):
    def __init__(self, answer: object) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, observation: Tensor) -> object:
        return self.answer(observation)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        (["boddy"], r"unknown submodule of ActorCritic 'boddy' \(did you mean 'body'\?\)"),
        ([""], "unknown submodule of ActorCritic ''"),
        (
            ["twice"],
            "site 'twice' cannot be read: submodule 'twice' runs 2 times in a forward pass: give each call a mod",
        ),
        (["pair"], r"site 'pair' cannot be read: submodule 'pair' returns a tuple, not one tensor \[b, C\] or"),
        (["unused"], "site 'unused' cannot be read: submodule 'unused' does not run in a forward pass"),
        (
            {"maps": "body.0"},
            "site 'maps' cannot be read: submodule 'body.0' has its output changed in place by a later",
        ),
    ],
)
def test_a_submodule_that_cannot_be_a_site_is_named(family: Family, sites: list[str], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message) as caught:
        wrap_module(ActorCritic(), family, sites=sites)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda obs: torch.zeros(len(obs), 5),
            r"module _Returning returned logits of shape \(2, 5\) for 2 observations: expected \(2, 4\)",
        ),
        (lambda obs: torch.zeros(4), r"returned logits of shape \(4,\) for 2 observations"),
        (lambda obs: "left", r"returned a str: return logits \[b, 4\], or a pair of logits and values \[b\]"),
        (lambda obs: (torch.zeros(len(obs), 4), 0.0), "returned a tuple: return logits"),
        (
            lambda obs: (torch.zeros(len(obs), 4), torch.zeros(len(obs), 2)),
            r"returned values of shape \(2, 2\) for 2 observations: expected \(2,\) or \(2, 1\)",
        ),
        (
            lambda obs: obs.flatten(1) @ torch.zeros(5, 4),
            r"module _Returning fails on observations \(2, 4, 7, 7\) of type torch.float32: mat1 and mat2",
        ),
    ],
)
def test_a_module_of_another_shape_is_named(family: Family, answer: object, message: str) -> None:
    with pytest.raises(GoalmazeError, match=message) as caught:
        wrap_module(_Returning(answer), family)
    assert "\n" not in str(caught.value)


def test_the_dry_run_leaves_no_hooks_and_changes_no_statistics(family: Family) -> None:
    module = nn.Sequential(nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(75, 4)).train()
    statistics = copy.deepcopy(module[1].state_dict())
    network = wrap_module(module, family)
    assert map_sites(network) == []
    assert not any(part._forward_hooks for part in module.modules())
    for name, tensor in module[1].state_dict().items():
        assert torch.equal(tensor, statistics[name])
    with pytest.raises(GoalmazeError, match="fails on observations"):
        wrap_module(nn.Sequential(nn.Linear(3, 4)), family)
    broken = nn.Sequential(nn.Flatten(), nn.Linear(3, 4))
    with pytest.raises(GoalmazeError, match="fails on observations"):
        wrap_module(broken, family)
    assert not any(part._forward_hooks for part in broken.modules())


@pytest.mark.parametrize(("mode", "shape"), [("rgb64", (64, 64, 3)), ("crop", (4, 5, 5)), ("partial", (5, 7, 7))])
def test_the_module_receives_the_observations_of_its_mode(family: Family, mode: str, shape: tuple[int, ...]) -> None:
    received: list[Tensor] = []

    def answer(observations: Tensor) -> Tensor:
        received.append(observations)
        return torch.zeros(len(observations), 4)

    network = wrap_module(_Returning(answer), family, observation=ObservationSpec(mode, radius=2), dtype=torch.uint8)
    levels = family.levels(0, np.arange(5))
    NetworkPolicy(network).probabilities(np.arange(5), observations_of(NetworkPolicy(network), levels), levels.start)
    assert received[-1].shape == (5, *shape)
    assert received[-1].dtype == torch.uint8
    np.testing.assert_array_equal(received[-1].numpy(), observations_of(NetworkPolicy(network), levels))


def test_fresh_weights_come_from_the_parts_or_from_the_user(wrapped: ExternalNetwork, family: Family) -> None:
    state = torch.random.get_rng_state()
    fresh, again = wrapped.untrained(1), wrapped.untrained(1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert fresh.sites() == wrapped.sites()
    for name, tensor in wrapped.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], again.state_dict()[name])
        assert not torch.equal(fresh.state_dict()[name], tensor)

    class Scaled(nn.Sequential):
        def __init__(self) -> None:
            super().__init__(nn.Flatten(), nn.Linear(4 * CELLS, 4))
            self.scale = nn.Parameter(torch.rand(1))

    with pytest.raises(
        GoalmazeError, match=r"submodule '' \(Scaled\) has weights and no reset_parameters.* make_untra"
    ):
        wrap_module(Scaled(), family).untrained(0)
    given = wrap_module(Scaled(), family, make_untrained=Scaled)
    assert not torch.equal(given.untrained(0).state_dict()["module.scale"], given.state_dict()["module.scale"])


def test_controls_above_a_site_work_on_it(wrapped: ExternalNetwork) -> None:
    assert used_above(wrapped, "1") == ["module.3.weight", "module.3.bias", "module.4.weight", "module.4.bias"]
    fresh = untrained_above(wrapped, "3", seed=1)
    for name, tensor in fresh.state_dict().items():
        assert torch.equal(tensor, wrapped.state_dict()[name]) == (not name.startswith("module.4"))


def test_it_cannot_be_saved_and_is_not_registered(wrapped: ExternalNetwork, family: Family, tmp_path: Path) -> None:
    with pytest.raises(GoalmazeError, match="cannot hold network Sequential, whose class is not a registered Network"):
        save_checkpoint(tmp_path / "checkpoint.safetensors", wrapped, family, steps=0)
    assert not list(tmp_path.iterdir())
    assert ExternalNetwork not in known_networks().values()


def test_the_example_of_its_documentation_runs() -> None:
    assert doctest.testmod(external).attempted > 5
    assert doctest.testmod(external).failed == 0
