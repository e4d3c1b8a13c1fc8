"""The recurrent networks: against the published equations, and a memory for each level that is its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from oracles import networks as oracle
from torch import Tensor, nn

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import RecurrentNetwork, Shape
from goalmaze.agents.policies import NetworkPolicy, RecurrentActor
from goalmaze.agents.rollout import rollout, stepwise
from goalmaze.agents.sites import find_site
from goalmaze.envs.engines import first_observations
from goalmaze.envs.levels import Family, concatenate
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.probes.activations import captured
from goalmaze.probes.edits.base import Add, applied

SMALL = {
    "lstm": {"channels": 6, "blocks": 1, "hidden": 12, "units": 8},
    "drc": {"layers": 2, "ticks": 2, "channels": 5, "hidden": 12},
}


def small(name: str, size: int = 7, **options: object) -> RecurrentNetwork:
    """Return a network with definite opinions, which depend on what it remembers."""
    torch.manual_seed(0)
    network = make_network(name, Shape((4, size, size), 4), {**SMALL[name], **options}).eval()
    nn.init.orthogonal_(network.get_submodule("policy").weight, 3.0)
    assert isinstance(network, RecurrentNetwork)
    return network


def walk(family: Family, steps: int, levels: int = 6) -> list[Tensor]:
    """Return what is seen at each step of some random walks."""
    episodes = MazeEngine.from_levels(family.levels(0, np.arange(levels), "moved-sign"))
    choice = np.random.default_rng(0)
    seen = []
    for _ in range(steps):
        seen.append(torch.from_numpy(episodes.observe().copy()))
        episodes.step(choice.integers(0, 4, levels))
    return seen


def test_impala_lstm_is_impala_with_torchs_lstm_behind_it(family: Family) -> None:
    torch.manual_seed(0)
    shape = Shape((4, 7, 7), 4)
    network = make_network("impala-lstm", shape, {"units": 8}).eval()
    plain = make_network("impala", shape).eval()
    assert isinstance(network, RecurrentNetwork)
    plain.get_submodule("embedder").load_state_dict(network.get_submodule("embedder").state_dict())
    gates, cell = network.get_submodule("gates"), nn.LSTMCell(256, 8)
    assert isinstance(gates, nn.Linear)
    # torch has the gates in the order input, forget, candidate, output.
    order = [0, 1, 3, 2]
    with torch.no_grad():
        weight = torch.cat([gates.weight.chunk(4)[i] for i in order])
        cell.weight_ih.copy_(weight[:, :256])
        cell.weight_hh.copy_(weight[:, 256:])
        cell.bias_ih.copy_(torch.cat([gates.bias.chunk(4)[i] for i in order]))
        cell.bias_hh.zero_()
    memory, states = network.initial_memory(6, (4, 7, 7)), None
    for seen in walk(family, 3):
        with torch.inference_mode(), captured(plain, ["embedder.hidden"]) as latest:
            plain(seen)
            features = latest["embedder.hidden"]
            states = cell(features, states)
            logits, values, memory = network.step(seen, memory)
            both = torch.cat([features, states[0]], 1)
            torch.testing.assert_close(logits, network.get_submodule("fc_policy")(both))
            torch.testing.assert_close(values, network.get_submodule("fc_value")(both)[:, 0])
        torch.testing.assert_close(memory, torch.stack(states, 1))


@pytest.mark.parametrize(("layers", "ticks"), [(1, 1), (2, 3), (3, 2)])
def test_drc_follows_the_published_equations(family: Family, layers: int, ticks: int) -> None:
    network = small("drc", layers=layers, ticks=ticks)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    weights = network.state_dict()
    swapped = dict(weights)
    gate = "layer1.gates.weight"
    swapped[gate] = weights[gate][:, [*range(5, 10), *range(5), *range(10, 21)]]
    memory = network.initial_memory(6, (4, 7, 7))
    states = [[torch.zeros(6, 5, 7, 7, dtype=torch.float64) for _ in range(layers)] for _ in range(4)]
    differs = 0.0
    for seen in walk(family, 4):
        agent = [int(one[1].flatten().argmax()) for one in seen]
        with torch.inference_mode():
            logits, _, memory = network.step(seen, memory)
        expected = oracle.drc(weights, seen, states[0], states[1], ticks, agent)
        torch.testing.assert_close(logits.double(), expected, atol=1e-4, rtol=1e-4)
        wrong = oracle.drc(swapped, seen, states[2], states[3], ticks, agent)
        differs = max(differs, float((wrong - expected).abs().max()))
    torch.testing.assert_close(memory[:, :, 0].double(), torch.stack(states[0], 1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(memory[:, :, 1].double(), torch.stack(states[1], 1), atol=1e-4, rtol=1e-4)
    assert differs > 0.01


def test_lstm_is_torchs_lstm_between_readout_and_heads(family: Family) -> None:
    network = small("lstm")
    gates = network.get_submodule("gates")
    assert isinstance(gates, nn.Linear)
    cell = nn.LSTMCell(12, 8)
    admit, keep, tell, content = range(4)
    order = [admit, keep, content, tell]
    with torch.no_grad():
        cell.weight_ih.copy_(torch.cat([gates.weight.chunk(4)[g][:, :12] for g in order]))
        cell.weight_hh.copy_(torch.cat([gates.weight.chunk(4)[g][:, 12:] for g in order]))
        cell.bias_ih.copy_(torch.cat([gates.bias.chunk(4)[g] for g in order]))
        cell.bias_hh.zero_()
    memory, state = network.initial_memory(6, (4, 7, 7)), (torch.zeros(6, 8), torch.zeros(6, 8))
    with torch.inference_mode(), captured(network, ["hidden", "hidden_state", "cell_state"]) as latest:
        for seen in walk(family, 5):
            logits, _, memory = network.step(seen, memory)
            state = cell(latest["hidden"], state)
            torch.testing.assert_close((latest["hidden_state"], latest["cell_state"]), state)
            torch.testing.assert_close(memory, torch.stack(state, 1))
            expected = network.get_submodule("policy")(torch.cat([latest["hidden"], state[0]], 1))
            torch.testing.assert_close(logits, expected)
        assert not torch.allclose(memory, network.step(seen, torch.zeros_like(memory))[2], atol=1e-3)


def test_the_states_of_the_lstm_are_found_under_their_former_names() -> None:
    network = small("lstm")
    for former, name in (("kept", "cell_state"), ("recalled", "hidden_state")):
        site, module = find_site(network, former)
        assert site.name == name
        assert module is network.get_submodule(name)


@pytest.mark.parametrize("name", SMALL)
def test_looking_once_is_advancing_from_a_blank_memory(family: Family, name: str) -> None:
    network = small(name)
    seen = walk(family, 2)
    blank = network.initial_memory(6, (4, 7, 7))
    assert len(blank) == 6
    assert not blank.any()
    with torch.inference_mode():
        logits, values, memory = network.step(seen[0], blank)
        torch.testing.assert_close(network(seen[0]), (logits, values))
        assert memory.shape == blank.shape
        assert not torch.allclose(network.step(seen[1], memory)[0], network(seen[1])[0], atol=1e-3)
        larger = family.resized(11)
        elsewhere = torch.from_numpy(first_observations(larger.levels(0, np.arange(3))))
        assert network(elsewhere)[0].shape == (3, 4)


@pytest.mark.parametrize("name", SMALL)
def test_each_level_has_a_memory_of_its_own(family: Family, name: str) -> None:
    policy = NetworkPolicy(small(name))
    levels, others = family.levels(6, np.arange(10)), family.levels(99, np.arange(15), "moved-sign")
    alone = rollout(policy, levels, seed=3)
    in_company = rollout(policy, concatenate([levels, others]), seed=3)
    until = int(alone.steps.max())
    np.testing.assert_array_equal(alone.steps, in_company.steps[:10])
    np.testing.assert_array_equal(alone.actions, in_company.actions[:until, :10])
    assert len(np.unique(alone.steps)) > 3
    again = rollout(policy, levels, seed=3)
    np.testing.assert_array_equal(alone.actions, again.actions)


@pytest.mark.parametrize("name", SMALL)
def test_the_memory_of_a_rollout_is_a_hand_kept_one(family: Family, name: str) -> None:
    network = small(name)
    policy = NetworkPolicy(network)
    levels = family.levels(4, np.arange(8))
    episodes = MazeEngine.from_levels(levels)
    memories = [network.initial_memory(1, (4, 7, 7)) for _ in range(8)]
    forgetful = 0.0
    for record in stepwise(policy, levels, seed=1):
        seen = torch.from_numpy(episodes.observe().copy())
        for b in np.flatnonzero(record.active):
            with torch.inference_mode():
                logits, _, memories[b] = network.step(seen[b : b + 1], memories[b])
                blank = torch.softmax(network(seen[b : b + 1])[0], 1)[0].numpy()
            probabilities = torch.softmax(logits, 1)[0].numpy()
            np.testing.assert_allclose(record.probabilities[b], probabilities, atol=1e-5)
            forgetful = max(forgetful, float(np.abs(record.probabilities[b] - blank).max()))
        episodes.step(record.actions)
    assert forgetful > 0.01


@pytest.mark.parametrize(
    ("name", "site"), [("lstm", "hidden_state"), ("drc", "tick1_layer2"), ("drc", "tick2_layer1_cell")]
)
def test_an_edit_comes_in_at_every_step_and_on_the_right_level(family: Family, name: str, site: str) -> None:
    network = small(name)
    policy = NetworkPolicy(network)
    levels = family.levels(5, np.arange(12))
    shape = (12, 8) if name == "lstm" else (12, 5, 7, 7)
    delta = torch.zeros(shape)
    delta[1::2] = torch.randn(delta[1::2].shape, generator=torch.Generator().manual_seed(0)) * 3
    fired = []

    def count(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        fired.append(len(output))

    handle = network.get_submodule(site).register_forward_hook(count)
    plain = rollout(policy, levels, seed=2)
    fired.clear()
    with applied(policy, [Add(site, delta)]):
        edited = rollout(policy, levels, seed=2)
    handle.remove()
    assert len(fired) == edited.steps.max()
    assert sum(fired) == edited.steps.sum()
    np.testing.assert_array_equal(plain.steps[::2], edited.steps[::2])
    until = int(plain.steps[::2].max())
    np.testing.assert_array_equal(plain.actions[:until, ::2], edited.actions[:until, ::2])
    assert (plain.actions[0, 1::2] != edited.actions[0, 1::2]).any() or (plain.steps != edited.steps).any()


def test_an_edited_hidden_state_is_what_is_remembered(family: Family) -> None:
    network = small("drc")
    policy = NetworkPolicy(network)
    levels = family.levels(5, np.arange(4))
    seen = first_observations(levels)
    actor = policy.begin(levels)
    assert isinstance(actor, RecurrentActor)
    rows = np.arange(4)
    with applied(policy, [Add("tick2_layer1", torch.full((4, 5, 7, 7), 7.0))]):
        actor.probabilities(rows, seen, levels.start)
    assert actor.memory is not None
    assert float(actor.memory[:, 0, 0].min()) > 5
    assert float(actor.memory[:, 1, 0].max()) < 1.01


@pytest.mark.parametrize("name", SMALL)
def test_it_learns_a_task_that_needs_memory(name: str) -> None:
    """An object shows at one of two places in the first step only; two steps later the network says at which."""

    def final_loss(*, forget: bool) -> float:
        network = small(name, 5).train()
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        choice = torch.Generator().manual_seed(1)
        losses = []
        for _ in range(80):
            targets = torch.randint(0, 2, (32,), generator=choice)
            first = torch.zeros(32, 4, 5, 5)
            first[:, 1, 2, 2] = 1
            later = first.clone()
            first[torch.arange(32), 2, 2, 1 + 2 * targets] = 1
            memory = network.initial_memory(32, (4, 5, 5))
            for seen in (first, later, later):
                logits, _, memory = network.step(seen, torch.zeros_like(memory) if forget else memory)
            loss = nn.functional.cross_entropy(logits, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses[-10:]))

    assert final_loss(forget=False) < 0.1
    assert final_loss(forget=True) > 0.6
