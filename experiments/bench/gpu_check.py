"""The parts of `scripts/check_gpu`: what a GPU computes beside a CPU, and how fast it trains and evaluates.

Each part is run by `python -m goalmaze.experiments.bench.gpu_check PART DEVICE [--small]` in a process of its own, and
prints one JSON object. The same parts run small on a CPU, where they are tested.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from goalmaze.agents.devices import find_device
from goalmaze.agents.networks.base import Network
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.population.program import make_learner
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.rollout_buffer import TensorRolloutBuffer
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.bench.population import compare, population_recipe

SMALL: JsonObject = {
    "parameters": {"size": 5},
    "network_options": {"channels": 4, "blocks": 1, "hidden": 8},
    "envs": 16,
    "steps": 1024,
}
"""Settings of a run that a CPU finishes in a second."""

ROLLOUTS = 2
"""Rollouts after which the weights of two devices are compared. The learning rate ends at 0, so this is one update."""

SAME_PASSES = 3e-5
"""Largest relative error of the outputs of a network, and of their gradient, in float32. Weights in TF32 give 1e-4."""

SAME_ACTIONS = 0.999
"""Fraction of the actions of the first rollout that two devices must have in common. Probabilities differ by their
rounding, so an action may differ where its number falls between two nearly equal sums."""

SAME_WEIGHTS = 0.15
"""Largest difference of the weights of two devices, relative to how far training has moved them, on average.

Adam divides by the size of a gradient, so rounding shows where gradients nearly vanish: see `control` in the result.
"""

CHANGES = (6e-6, 1e-4, 1e-3)
"""Parts of their size by which the initial weights of the control are changed."""

AGENTS, LEVELS, SOLVED = 16, 1024, 0.99
"""Agents of the population, levels that they are evaluated on, and the rate that one agent is to reach."""


Found = TypeVar("Found")


@dataclasses.dataclass(frozen=True)
class ShortRun:
    """A short run on one device.

    Attributes:
        observations: the first observations, which show the levels.
        actions: the actions of each rollout.
        before: the initial weights.
        after: the weights after the last rollout.
    """

    observations: Tensor
    actions: list[Tensor]
    before: dict[str, Tensor]
    after: dict[str, Tensor]


def agreement(device: str, small: bool) -> JsonObject:
    """Return how far a GPU and a CPU agree on a short run in float32, of one agent and of a population of three."""
    settings = SMALL if small else {}
    result = {"passes": _passes(device, settings)}
    recipes = [population_recipe(one, **{**settings, "precision": "fp32", "threads": 1}) for one in ("cpu", device)]
    for name, run in (("one agent", _run_of_one), ("three agents", _run_of_three)):
        result[name] = compared(*(run(recipe) for recipe in recipes))
    return {"ok": all(one["ok"] for one in result.values()), **result, "control": _control(recipes[0])}


def _control(recipe: Recipe) -> JsonObject:
    """Return how far runs on a CPU differ whose initial weights were changed by parts of their size, by these parts."""
    plain = _run_of_one(recipe)
    return {str(part): compared(plain, _run_of_one(recipe, part))["relative_difference"] for part in CHANGES}


def _passes(device: str, settings: JsonObject) -> JsonObject:
    """Return the relative errors of a network's outputs and of their gradient against those of a CPU."""
    recipe = population_recipe("cpu", **{**settings, "precision": "fp32", "threads": 1})
    algorithm = make_algorithm(recipe, make_environments(recipe))
    observations = torch.as_tensor(algorithm.env.reset())  # type: ignore[union-attr]
    network = network_of(algorithm)
    found = [_outputs_and_gradient(network.to(place), observations.to(place)) for place in ("cpu", find_device(device))]
    outputs, gradient = (relative_error(*pair) for pair in zip(*found, strict=True))
    return {"ok": max(outputs, gradient) <= SAME_PASSES, "outputs": outputs, "gradient": gradient}


def _outputs_and_gradient(network: Network, observations: Tensor) -> tuple[Tensor, Tensor]:
    logits, values = network(observations)
    loss = torch.log_softmax(logits, dim=1)[:, 0].mean() + values.square().mean()
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    outputs = torch.cat([logits.flatten(), values])
    return outputs.detach().cpu(), torch.cat([one.flatten() for one in gradients]).cpu()


def relative_error(expected: Tensor, found: Tensor) -> float:
    """Return the length of the difference of two vectors, relative to that of the first."""
    return float((found - expected).norm() / expected.norm())


def compared(cpu: ShortRun, other: ShortRun) -> JsonObject:
    """Return how far two runs agree."""
    levels = torch.equal(cpu.observations, other.observations)
    initial = all(torch.equal(cpu.before[name], other.before[name]) for name in cpu.before)
    same = [float((one == two).float().mean()) for one, two in zip(cpu.actions, other.actions, strict=True)]
    moved = torch.cat([(cpu.after[name] - cpu.before[name]).abs().flatten() for name in cpu.before])
    apart = torch.cat([(cpu.after[name] - other.after[name]).abs().flatten() for name in cpu.before])
    relative = float(apart.mean() / moved.mean())
    return {
        "ok": levels and initial and same[0] >= SAME_ACTIONS and relative <= SAME_WEIGHTS,
        "same_levels": levels,
        "same_initial_weights": initial,
        "same_actions": same,
        "weights_moved": float(moved.mean()),
        "weights_differ": float(apart.mean()),
        "weights_differ_most": float(apart.max()),
        "relative_difference": relative,
    }


def _run_of_one(recipe: Recipe, part: float = 0.0) -> ShortRun:
    algorithm = make_algorithm(recipe, make_environments(recipe))
    assert isinstance(algorithm, TensorPPO)
    network, watcher = network_of(algorithm), _Watcher(algorithm.tensor_buffer)
    before = _on_cpu(network.state_dict())
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters() if part else ():
            parameter.mul_(1 + part * torch.randn(parameter.shape, generator=draws))
    algorithm.learn(ROLLOUTS * recipe.envs * recipe.rollout_steps, watcher)
    return ShortRun(watcher.observations, watcher.actions, before, _on_cpu(network.state_dict()))


def _run_of_three(recipe: Recipe) -> ShortRun:
    learner = make_learner(recipe, (0, 1, 2))
    before, watcher = _on_cpu(learner.tensors()), _Watcher(learner.rollouts.buffer)
    for _ in range(ROLLOUTS):
        learner.rollout()
        watcher.watch()
    return ShortRun(watcher.observations, watcher.actions, before, _on_cpu(learner.tensors()))


class _Watcher(BaseCallback):
    """Copies what a short run needs of every rollout.

    Attributes:
        observations: the first observations of the first rollout.
        actions: the actions of every rollout.
    """

    def __init__(self, buffer: TensorRolloutBuffer) -> None:
        super().__init__()
        self._buffer, self.observations = buffer, torch.zeros(0)
        self.actions: list[Tensor] = []

    def watch(self) -> None:
        """Copy from the buffer after a rollout."""
        if not self.actions:
            self.observations = self._buffer.observations[0].cpu().clone()
        self.actions.append(self._buffer.actions.cpu().clone())

    def _on_rollout_end(self) -> None:
        self.watch()

    def _on_step(self) -> bool:
        return True


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}


def one_agent(device: str, small: bool) -> JsonObject:
    """Train one agent with the settings of its device, and return its seconds and the rate of solved mazes."""
    from goalmaze.experiments.train import command
    from goalmaze.experiments.train.config import TrainConfig

    with tempfile.TemporaryDirectory() as folder:
        report = command.run(TrainConfig(out=Path(folder) / "run", device=device, **_options(small)))
        recipe = json.loads((Path(folder) / "run" / "recipe.json").read_text("utf-8"))["recipe"]
    content = report.json()
    solved = content["in_distribution"]["solved"]
    return {
        "ok": small or solved >= SOLVED,
        "solved": solved,
        "training_seconds": content["seconds"],
        "steps": content["steps"],
        "recipe": {name: recipe[name] for name in ("device", "envs", "learning_rate", "precision", "steps")},
    }


def population(device: str, small: bool) -> JsonObject:
    """Train a population, evaluate all its agents on the same levels, and return the seconds of both."""
    from goalmaze.experiments.evaluate import command as evaluate
    from goalmaze.experiments.evaluate.config import EvalConfig
    from goalmaze.experiments.train import command as train
    from goalmaze.experiments.train.config import TrainConfig

    agents, levels = (2, 64) if small else (AGENTS, LEVELS)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        seconds, report = _timed(
            lambda: train.run(TrainConfig(out=out, seeds=f"0-{agents - 1}", device=device, **_options(small)))
        )
        # The second evaluation is timed: the first one compiles and records what it needs.
        config = EvalConfig(agent=str(out), levels=levels, device=device)  # type: ignore[arg-type]
        first, _ = _timed(lambda: evaluate.run(config))
        judged, _ = _timed(lambda: evaluate.run(config))
    content = report.json()
    solved = [agent["in_distribution"]["solved"] for agent in content["agents"]]
    return {
        "ok": True,
        "agents": agents,
        "steps": content["steps"],
        "training_seconds": content["seconds"],
        "steps_per_s": agents * content["steps"] / max(content["seconds"], 0.1),
        "training_and_report_seconds": seconds,
        "solved_mean": float(np.mean(solved)),
        "solved_least": min(solved),
        "levels": levels,
        "evaluation_seconds_first": first,
        "evaluation_seconds": judged,
    }


def bench(device: str, small: bool) -> JsonObject:
    """Return the rows of `goalmaze bench population`."""
    if small:
        # One agent, so that the pool is one process: most of the time is the start of processes.
        return {"ok": True, "rows": compare(population_recipe(device, **SMALL), 1, turns=1)}
    rows = [*compare(population_recipe(device), AGENTS, turns=5), *compare(population_recipe(device), 1, turns=5)]
    return {"ok": True, "rows": rows}


PARTS: dict[str, Callable[[str, bool], JsonObject]] = {
    "agreement": agreement,
    "one_agent": one_agent,
    "bench": bench,
    "population": population,
}
"""Part → the function that measures it, in the order in which they are run."""


def _options(small: bool) -> JsonObject:
    """Return the options of a training run."""
    if not small:
        return {}
    network = tuple(f"{name}={value}" for name, value in SMALL["network_options"].items())
    return {"size": 5, "steps": SMALL["steps"], "network_options": network, "set": (f"envs={SMALL['envs']}",)}


def _timed(work: Callable[[], Found]) -> tuple[float, Found]:
    """Return the seconds of some work, and its result."""
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def main(arguments: Sequence[str]) -> None:
    """Run one part on a device and print its JSON object as the last line."""
    part, device, *flags = arguments
    begun = time.perf_counter()
    name = torch.cuda.get_device_name() if find_device(device).type == "cuda" else "cpu"
    result = PARTS[part](device, "--small" in flags)
    print(json.dumps({"device": name, **result, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(sys.argv[1:])
