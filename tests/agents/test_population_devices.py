"""A population on another device is trained as on the CPU: no tensor is left on the wrong one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from other_device import OTHER, other_device
from recordings import StandIn
from torch import Tensor

from goalmaze.agents.training.cuda_graphs import Outputs, RecordedFunction
from goalmaze.agents.training.population import acting, learner, updating
from goalmaze.agents.training.population.program import make_learner
from goalmaze.agents.training.recipe import Recipe

NETWORK = {"channels": 4, "blocks": 1, "hidden": 8}


def standing_in(
    function: Callable[[], Outputs], _device: torch.device, changed: Callable[[], Sequence[Tensor]] = tuple
) -> RecordedFunction:
    """Record a function on a device that has no graphs."""
    return RecordedFunction(function, changed, StandIn())


@pytest.mark.parametrize("network", ["lstm"])
def test_no_tensor_is_left_on_the_cpu(
    network: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    parameters = {"size": 5}
    recipe = Recipe(
        "GreenExit",
        parameters,
        network=network,
        network_options=NETWORK,
        envs=4,
        rollout_steps=4,
        minibatches=2,
        epochs=1,
        device="cpu",
    )
    expected = make_learner(recipe, (0, 1, 2))
    for _ in range(2):
        expected.rollout()
    for module in (acting, updating):
        monkeypatch.setattr(module, "recorded", standing_in)
    monkeypatch.setattr(learner, "find_device", lambda _name: OTHER)
    with other_device():
        moved = make_learner(recipe, (0, 1, 2))
        assert moved.device == OTHER
        for _ in range(2):
            moved.rollout()
        tensors = moved.tensors()
    for name, tensor in expected.tensors().items():
        torch.testing.assert_close(tensors[name], tensor, atol=1e-6, rtol=0)
    # Everything was recorded: nothing in it waits for the device.
    assert "without a CUDA graph" not in capsys.readouterr().err
