"""Stacked networks against each of their networks alone: outputs, gradients, and the layout of memory."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, RecurrentNetwork, Shape
from goalmaze.agents.networks.forward_pass import ForwardPass
from goalmaze.agents.networks.stacked import StackedNetwork
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.observations.spec import ObservationSpec

AGENTS, ROWS = 3, 6
PLANES = Shape((4, 5, 7), 4)
PICTURES = Shape((16, 24, 3), 4, ObservationSpec("rgb64"))
SMALL: JsonObject = {"channels": 4, "blocks": 2, "hidden": 8}
CASES: dict[str, tuple[str, JsonObject, Shape]] = {
    "grid": ("grid", SMALL, PLANES),
    "flat": ("grid", SMALL | {"readout": "flat"}, PLANES),
    "lstm": ("lstm", SMALL | {"units": 4}, PLANES),
    "drc": ("drc", {"channels": 4, "layers": 2, "ticks": 2, "hidden": 8}, PLANES),
    "impala": ("impala", {}, PLANES),
    "impala-lstm": ("impala-lstm", {"units": 4}, PLANES),
    "pictures": ("impala", {"stride": 2, "centred": True}, PICTURES),
    "cells": ("impala", {"cells": 15, "centred": True}, PICTURES),
}


@pytest.fixture(scope="module", params=CASES)
def networks(request: pytest.FixtureRequest) -> list[Network]:
    name, options, shape = CASES[request.param]
    made = []
    for seed in range(AGENTS):
        torch.manual_seed(seed)
        made.append(make_network(name, shape, options))
    return made


def observations(shape: Shape, rows: int = ROWS) -> Tensor:
    high = 256 if shape.observation[-1] == 3 else 2
    return torch.randint(0, high, (AGENTS, rows, *shape.observation), dtype=torch.uint8, generator=torch.manual_seed(9))


def number(logits: Tensor, values: Tensor) -> Tensor:
    """Return one number that depends on all outputs of one agent, with other weights for each."""
    weights = torch.linspace(0.5, 2.0, logits.numel()).reshape(logits.shape)
    return (weights * logits.log_softmax(-1)).sum() + (weights[..., 0] * values.square()).sum()


class Convolutions(TorchDispatchMode):
    """Records whether the maps of every convolution lie channels-last, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self.channels_last: list[bool] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.ops.aten.convolution.default, torch.ops.aten.convolution_backward.default):
            maps = args[0 if func == torch.ops.aten.convolution.default else 1]
            self.channels_last.append(maps.is_contiguous(memory_format=torch.channels_last))
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def no_slow_fallback() -> Iterator[None]:
    """Turn the warning that `torch.vmap` has no rule for an operation into an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*vmap.*")
        yield


@pytest.mark.parametrize("channels_last", [False, True])
def test_outputs_and_gradients_are_those_of_every_network_alone(networks: list[Network], channels_last: bool) -> None:
    stacked = StackedNetwork(networks, channels_last=channels_last)
    observed = observations(networks[0].shape)
    with Convolutions() as recorded:
        logits, values = stacked.outputs(observed)
        losses = torch.stack([number(logits[p], values[p]) for p in range(AGENTS)])
        losses.backward(torch.ones(AGENTS))  # type: ignore[no-untyped-call]
    assert len(recorded.channels_last) > 2
    assert all(recorded.channels_last) or not channels_last
    gradients = {name: parameter.grad for name, parameter in stacked.named_parameters()}
    for p, network in enumerate(networks):
        network.zero_grad()
        expected = network(observed[p])
        torch.testing.assert_close((logits[p], values[p]), expected, atol=1e-5, rtol=1e-5)
        number(*expected).backward()  # type: ignore[no-untyped-call]
        for (name, parameter), gradient in zip(network.named_parameters(), gradients.values(), strict=True):
            assert gradient is not None
            torch.testing.assert_close(gradient[p], parameter.grad, atol=1e-4, rtol=1e-4, msg=name)
        assert not torch.allclose(logits[p], networks[(p + 1) % AGENTS](observed[p])[0], atol=1e-5)


def test_bfloat16_is_that_of_every_network_alone(networks: list[Network]) -> None:
    observed = observations(networks[0].shape)
    with torch.no_grad():
        logits, values = StackedNetwork(networks, bf16=True).outputs(observed)
        exact, _ = StackedNetwork(networks).outputs(observed)
        for p, network in enumerate(networks):
            expected = ForwardPass(network, bf16=True).outputs(observed[p])
            torch.testing.assert_close((logits[p], values[p]), expected, atol=0.03, rtol=0.03)
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, exact)


def test_steps_with_a_memory_are_those_of_every_network_alone(networks: list[Network]) -> None:
    stacked = StackedNetwork(networks, channels_last=True)
    assert stacked.is_recurrent == isinstance(networks[0], RecurrentNetwork)
    if not stacked.is_recurrent:
        return
    memory = stacked.initial_memory(ROWS)
    expected = [ForwardPass(network).initial_memory(ROWS) for network in networks]
    with torch.no_grad():
        for t in range(3):
            observed = observations(networks[0].shape) if t != 1 else 1 - observations(networks[0].shape)
            logits, values, memory = stacked.step(observed, memory)
            again = stacked.recur(stacked.encode(observed), memory)
            assert not torch.allclose(again[0], logits, atol=1e-6)
            for p, network in enumerate(networks):
                one = ForwardPass(network).step(observed[p], expected[p])
                torch.testing.assert_close((logits[p], values[p], memory[p]), one, atol=1e-5, rtol=1e-5)
                expected[p] = one[2]


def test_some_agents_run_alone(networks: list[Network]) -> None:
    stacked, observed = StackedNetwork(networks), observations(networks[0].shape)
    with torch.no_grad():
        logits, _ = stacked.outputs(observed)
        some, _ = stacked.outputs(observed[1:], agents=slice(1, None))
    torch.testing.assert_close(some, logits[1:], atol=1e-6, rtol=1e-6)


def test_tensors_go_in_and_come_out(networks: list[Network]) -> None:
    stacked, other = StackedNetwork(networks), StackedNetwork([networks[0]] * AGENTS)
    state = stacked.unstack(2)
    assert list(state) == list(networks[2].state_dict())
    assert all(torch.equal(tensor, state[name]) for name, tensor in networks[2].state_dict().items())
    before = networks[0].state_dict()["stem.weight" if "stem.weight" in state else "fc_policy.weight"].clone()
    other.load_tensors(stacked.tensors())
    assert all(torch.equal(tensor, other.tensors()[name]) for name, tensor in stacked.tensors().items())
    assert torch.equal(
        before, networks[0].state_dict()["stem.weight" if "stem.weight" in state else "fc_policy.weight"]
    )


def test_networks_that_differ_are_refused() -> None:
    small = make_network("grid", PLANES, SMALL)
    with pytest.raises(GoalmazeError, match="at least one network"):
        StackedNetwork([])
    for other in (make_network("grid", PLANES, SMALL | {"channels": 5}), make_network("lstm", PLANES, SMALL)):
        with pytest.raises(GoalmazeError, match=r"network 1 is .*differ in their weights alone"):
            StackedNetwork([small, other])
