"""Optimizers without PyTorch's compiler: the same steps bit for bit, and no import of it in any algorithm."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from plans import SMALL_RECIPE
from torch import Tensor, nn
from torch.optim import LBFGS, Adam, AdamW, Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from goalmaze.agents.eager_optimizers import eager
from goalmaze.agents.training.algorithms import CLASSES, make_algorithm, make_environments


def fitted(kind: Callable[..., Optimizer], **options: float) -> list[Tensor]:
    """The weights of a small regression after three steps, a copy of the optimizer's state, and three more."""
    torch.manual_seed(0)
    inputs, model = torch.randn(32, 4), nn.Linear(4, 1)

    def loss() -> float:
        optimizer.zero_grad()
        value = (model(inputs) - inputs[:, :1].sin()).square().mean()
        value.backward()  # type: ignore[no-untyped-call]
        return value.item()

    optimizer = kind(model.parameters(), **options)
    for part in range(2):
        for _ in range(3):
            optimizer.step(loss)
        if part == 0:
            state = optimizer.state_dict()
            optimizer = kind(model.parameters(), **options)
            optimizer.load_state_dict(state)
    return [parameter.detach() for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Adam, {"lr": 0.1}), (AdamW, {"lr": 0.1, "weight_decay": 0.5}), (LBFGS, {"lr": 0.5, "max_iter": 3})],
)
def test_the_steps_are_those_of_torch_bit_for_bit(kind: type[Optimizer], options: dict[str, float]) -> None:
    ours, theirs = fitted(eager(kind), **options), fitted(kind, **options)
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    others = fitted(kind, **{**options, "lr": 0.2})
    assert not all(torch.equal(one, other) for one, other in zip(ours, others, strict=True))


def test_hooks_of_all_optimizers_run_once_a_step() -> None:
    steps: list[str] = []
    hook = register_optimizer_step_pre_hook(lambda optimizer, *_: steps.append(type(optimizer).__name__))
    try:
        fitted(eager(Adam), lr=0.1)
    finally:
        hook.remove()
    assert steps == ["Adam"] * 6


def test_a_step_imports_the_compiler_in_torch_alone() -> None:
    code = """
import sys, torch
from torch.optim import Adam
from goalmaze.agents.eager_optimizers import eager
for kind in (eager(Adam), Adam):
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.ones(1)
    optimizer = kind([weight])
    optimizer.step()
    optimizer.zero_grad()
    print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("name", CLASSES)
def test_every_algorithm_has_such_an_optimizer(name: str) -> None:
    options = {"buffer_size": 320} if name == "sb3-dqn" else {}
    recipe = dataclasses.replace(SMALL_RECIPE, algorithm=name, algorithm_options=options)
    optimizer = make_algorithm(recipe, make_environments(recipe)).policy.optimizer
    kind, parent = type(optimizer).__mro__[:2]
    assert issubclass(parent, Optimizer)
    assert kind is eager(parent)
    # Those of the papers' settings in stable-baselines3, and Adam's own for DQN.
    assert optimizer.defaults["eps"] == {"ppo": 1e-5, "sb3-ppo": 1e-5, "sb3-a2c": 1e-5, "sb3-dqn": 1e-8}[name]
