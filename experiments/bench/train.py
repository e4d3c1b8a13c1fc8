"""`goalmaze bench train`: speed of training beside that of its network alone and of stable-baselines3's PPO.

The four are measured in turns, rollout by rollout, so that other load on the machine slows all of them alike.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from torch import Tensor
from tqdm import tqdm

from goalmaze.agents.training.algorithms import make_algorithm, make_environments
from goalmaze.agents.training.callback import TrainingCallback
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.rollout_buffer import TensorRolloutBuffer
from goalmaze.agents.training.sb3_policy import MazePolicy
from goalmaze.agents.training.signals import StopRequest
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.bench.curriculum import curriculum_rows
from goalmaze.experiments.bench.trainer import ENDLESS

SB3_ROLLOUT = 2048
"""Steps in a rollout of stable-baselines3's PPO by default, here divided among the environments."""

SB3_EPOCHS, SB3_MINIBATCH = 10, 64
"""Its default epochs of an update, and steps in a minibatch."""


FILLED = 400
"""Rollouts that fill the buffer of a curriculum before it is measured."""


class AllTurnsDone(Exception):  # noqa: N818  not an error
    """Ends training after the last turn."""


def measure(full: bool) -> list[JsonObject]:
    """Return one row a maze size, then one a curriculum; the two kinds have other keys."""
    settings = [Recipe(parameters={"size": size}) for size in ((9, 13) if full else (9,))]
    turns = 12 if full else 3
    rows = [compare(recipe, turns) for recipe in tqdm(settings, desc="bench train", disable=None)]
    return rows + curriculum_rows(4 * turns, FILLED if full else FILLED // 4)


def compare(recipe: Recipe, turns: int) -> JsonObject:
    """Return environment steps per second of training, of its network alone, and of stable-baselines3's PPO.

    All rates are medians over turns of one rollout each. `steps_per_s` is our training, log included.
    `bound_steps_per_s` is the passes of the network and the optimiser's steps alone, on minibatches of the same sizes.
    `sb3_steps_per_s` is stable-baselines3's PPO with the same network and number of environments and its own defaults
    (2048 steps a rollout, 64 a minibatch, 10 epochs), and `sb3_same_recipe_steps_per_s` the same with our recipe; both
    run in other processes with the C library's default allocator.

    Args:
        recipe: the recipe to measure.
        turns: rollouts to time, after one that warms up.
    """
    recipe = dataclasses.replace(recipe, steps=ENDLESS, threads=torch.get_num_threads())
    same = dataclasses.replace(recipe, algorithm="sb3-ppo")
    by_default_recipe = dataclasses.replace(
        same,
        rollout_steps=SB3_ROLLOUT // recipe.envs,
        epochs=SB3_EPOCHS,
        minibatches=SB3_ROLLOUT // SB3_MINIBATCH,
    )
    with tempfile.TemporaryDirectory() as folder, worker(by_default_recipe) as by_default, worker(same) as by_recipe:
        algorithm = make_algorithm(recipe, make_environments(recipe))
        assert isinstance(algorithm, TensorPPO)
        bound = NetworkAlone(algorithm)
        callback = Turns(recipe, Path(folder), turns, [bound.rate, by_default.rate, by_recipe.rate])
        algorithm.set_logger(Logger(None, []))
        try:
            algorithm.learn(recipe.steps, callback)
        except AllTurnsDone:
            callback.close()
    rates = np.array(callback.rates)
    steps, bound_steps, sb3_steps, same_steps = (float(rate) for rate in np.median(rates, axis=0))
    ratios = np.median(rates[:, :1] / rates[:, 1:], axis=0)
    return {
        "size": recipe.parameters.get("size"),
        "network": recipe.network,
        "steps_per_s": steps,
        "bound_steps_per_s": bound_steps,
        "sb3_steps_per_s": sb3_steps,
        "sb3_same_recipe_steps_per_s": same_steps,
        "of_bound": float(ratios[0]),
        "times_sb3": float(ratios[1]),
        "times_sb3_same_recipe": float(ratios[2]),
    }


class Turns(TrainingCallback):
    """Times each rollout of training, and measures the other rates between two rollouts.

    Attributes:
        rates: steps per second of training and of the others, one row a turn.
    """

    def __init__(self, recipe: Recipe, folder: Path, turns: int, others: list[Callable[[], float]]) -> None:
        super().__init__(recipe, folder, StopRequest(), ENDLESS)
        self.turns, self.others = turns, others
        self.rates: list[list[float]] = []
        self._turn, self._start = -1, 0.0

    def _on_rollout_start(self) -> None:
        super()._on_rollout_start()
        synchronise()
        seconds = time.perf_counter() - self._start
        # The first call has no rollout before it, and the first rollout warms up.
        if self._turn > 0:
            own = self.recipe.envs * self.recipe.rollout_steps / seconds
            self.rates.append([own, *(rate() for rate in self.others)])
        self._turn += 1
        if self._turn > self.turns:
            raise AllTurnsDone
        self._start = time.perf_counter()


class NetworkAlone:
    """The least that PPO can do: the network's passes and the optimiser's steps of one rollout and its update."""

    def __init__(self, algorithm: TensorPPO) -> None:
        self._algorithm = algorithm
        self._policy: MazePolicy = copy.deepcopy(algorithm.policy)

    def rate(self) -> float:
        """Return steps per second, on the observations of the algorithm's latest rollout."""
        algorithm, policy = self._algorithm, self._policy
        buffer = cast(TensorRolloutBuffer, algorithm.rollout_buffer)
        order = algorithm.draws.order(0, 0, buffer.steps * buffer.envs)
        batches = [
            batch.observations
            for _ in range(algorithm.n_epochs)
            for batch in buffer.minibatches(algorithm.batch_size, order)
        ]
        synchronise()
        begun = time.perf_counter()
        with torch.no_grad():
            for observations in buffer.observations:
                policy.outputs(observations)
        for observations in batches:
            logits, values = policy.outputs(observations)
            policy.optimizer.zero_grad()
            torch.autograd.backward([logits, values], _gradients(logits, values))
            policy.optimizer.step()
        synchronise()
        return buffer.steps * buffer.envs / (time.perf_counter() - begun)


def _gradients(logits: Tensor, values: Tensor) -> list[Tensor]:
    """Return gradients of the outputs, so small that the weights hardly change."""
    return [torch.full_like(logits, 1e-6), torch.full_like(values, 1e-6)]


def synchronise() -> None:
    """Wait for the device."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class worker:  # noqa: N801  a context manager that is used like a function
    """Another process with the C library's default allocator, in which a recipe is trained rollout by rollout."""

    def __init__(self, recipe: Recipe) -> None:
        self._steps = recipe.envs * recipe.rollout_steps
        # Our trainings set this variable for their allocator; stable-baselines3 is measured as its users run it.
        environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
        code = "import sys; from goalmaze.experiments.bench.train import serve; serve(sys.stdin, sys.stdout)"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env=environment,
        )
        self._request(json.dumps(dataclasses.asdict(recipe)))
        # The first rollout warms up and is not counted.
        self.rate()

    def __enter__(self) -> worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _request(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise GoalmazeError("the process that measures stable-baselines3 has died; is there enough memory?")
        return answer

    def rate(self) -> float:
        """Return steps per second of one rollout and its update."""
        return self._steps / float(self._request("go"))


def serve(requests: IO[str], answers: IO[str]) -> None:
    """Train the recipe in the first line, one rollout for each further line, and answer with its seconds."""
    recipe = recipe_from(json.loads(requests.readline()))
    torch.set_num_threads(recipe.threads)
    algorithm = make_algorithm(recipe, make_environments(recipe))
    algorithm.set_logger(Logger(None, []))
    algorithm.learn(recipe.steps, _RolloutPerLine(requests, answers))


class _RolloutPerLine(BaseCallback):
    """Answers with the duration of the last rollout and waits for a line before the next."""

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        super().__init__()
        self._lines: Iterator[str] = iter(requests)
        self._answers, self._start = answers, 0.0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        synchronise()
        seconds = time.perf_counter() - self._start if self._start else 0.0
        print(seconds, file=self._answers, flush=True)
        next(self._lines)
        self._start = time.perf_counter()
