"""Recorded functions, with a recording that stands in for a CUDA graph: replays refill the same tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from recordings import StandIn
from torch import Tensor, nn

from goalmaze.agents.training.cuda_graphs import Outputs, RecordedFunction, make_state, recorded, state_tensors


class Regression:
    """A small regression, whose inputs are filled in place as those of a recorded function are."""

    def __init__(self) -> None:
        self.network = nn.Linear(3, 1)
        with torch.no_grad():
            self.network.weight.copy_(torch.tensor([[0.1, -0.2, 0.3]]))
            self.network.bias.zero_()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=0.05)
        self.inputs = torch.zeros(8, 3)

    def changed(self) -> list[Tensor]:
        return [*self.network.parameters(), *make_state(self.optimizer)]

    def step(self) -> Outputs:
        loss: Tensor = (self.network(self.inputs).squeeze(1) - self.inputs.sum(dim=1)).pow(2).mean()
        self.optimizer.zero_grad()
        torch.autograd.backward([loss])
        self.optimizer.step()
        return (loss.detach(),)


def trained(step: Callable[[Regression], Callable[[], Outputs]]) -> tuple[list[float], list[Tensor]]:
    """Return the losses of ten steps on the same data, and the weights after them."""
    regression, losses = Regression(), []
    call = step(regression)
    for data in torch.randn(10, 8, 3, generator=torch.Generator().manual_seed(0)):
        regression.inputs.copy_(data)
        losses.append(float(call()[0]))
    return losses, [*regression.network.parameters(), *state_tensors(regression.optimizer)]


def test_a_recorded_step_gives_the_same_numbers() -> None:
    standin = StandIn()
    losses, weights = trained(lambda regression: regression.step)
    recorded_losses, recorded_weights = trained(
        lambda regression: RecordedFunction(regression.step, regression.changed, standin)
    )
    assert standin.replays == 10
    assert recorded_losses == losses
    assert all(torch.equal(one, other) for one, other in zip(weights, recorded_weights, strict=True))


def test_weights_that_are_not_named_keep_the_warm_up() -> None:
    # The control of the test above: without their names nothing is restored, and the numbers differ.
    losses, _ = trained(lambda regression: regression.step)
    other, _ = trained(lambda regression: RecordedFunction(regression.step, tuple, StandIn()))
    assert other != losses


def test_what_cannot_be_recorded_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    class Refusing(StandIn):
        def record(self, function: Callable[[], Outputs]) -> Outputs:
            function()
            raise RuntimeError("operation not permitted when stream is capturing\nmore lines")

    losses, _ = trained(lambda regression: regression.step)
    plain, _ = trained(lambda regression: RecordedFunction(regression.step, regression.changed, Refusing()))
    assert plain == losses
    assert capsys.readouterr().err.splitlines() == [
        "goalmaze: runs without a CUDA graph, more slowly: operation not permitted when stream is capturing"
    ]


def test_a_cpu_calls_the_function_itself() -> None:
    regression = Regression()
    assert recorded(regression.step, torch.device("cpu"), regression.changed) == regression.step


def test_the_state_of_an_optimiser_is_made_once() -> None:
    regression = Regression()
    before = [parameter.detach().clone() for parameter in regression.network.parameters()]
    state = make_state(regression.optimizer)
    assert state
    assert not any(tensor.any() for tensor in state)
    assert all(torch.equal(one, two) for one, two in zip(before, regression.network.parameters(), strict=True))
    regression.inputs.fill_(1)
    regression.step()
    assert any(tensor.any() for tensor in make_state(regression.optimizer))
