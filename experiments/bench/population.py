"""`goalmaze bench population`: steps per second of many agents together, beside their networks alone and one agent.

All rates are measured in turns, rollout by rollout, so that other load on the machine slows all of them alike. Every
agent has the default recipe of a CPU, as populations have on every device.

Axes: P agents, E environments of each agent, T steps of a rollout, b single steps or environments of a minibatch.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from goalmaze.agents.devices import find_device
from goalmaze.agents.eager_optimizers import eager
from goalmaze.agents.training.cuda_graphs import Outputs, make_state, recorded
from goalmaze.agents.training.device_recipe import for_device
from goalmaze.agents.training.population.learner import PopulationLearner
from goalmaze.agents.training.population.program import make_learner
from goalmaze.agents.training.recipe import Recipe
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.bench.train import synchronise, worker
from goalmaze.experiments.bench.trainer import ENDLESS

AGENTS = {"cpu": (8,), "cuda": (64,)}
FULL_AGENTS = {"cpu": (1, 4, 8, 16), "cuda": (1, 16, 64, 128)}
"""Device → the numbers of agents that are measured."""

TURNS = {"cpu": 3, "cuda": 10}
"""Device → rollouts that are timed, after one that warms up."""

SMALL_GRADIENT = 1e-6
"""The gradient of every output in the bound, so small that the weights hardly change."""


def measure(full: bool, device: str = "auto") -> list[JsonObject]:
    """Return one row for each number of agents and program.

    With `full`, more numbers of agents, and a recurrent and a deep network.
    """
    kind = find_device(device).type
    agents = (FULL_AGENTS if full else AGENTS)[kind]
    networks = ("grid", "lstm", "impala") if full else ("grid",)
    settings = [(count, name) for name in networks for count in (agents if name == "grid" else AGENTS[kind])]
    bar = tqdm(settings, desc="bench population", disable=None)
    return [row for count, name in bar for row in compare(population_recipe(kind, network=name), count, TURNS[kind])]


def population_recipe(device: str, **settings: object) -> Recipe:
    """Return the recipe of every agent of a population on a device.

    Args:
        device: the device, "cpu" or "cuda".
        settings: other settings of the recipe.
    """
    return for_device(Recipe(**settings), device, together=True)  # type: ignore[arg-type]


def compare(recipe: Recipe, agents: int, turns: int) -> list[JsonObject]:
    """Return the rates of a population: one row for the stacked program, and on a CPU one for the pool of processes.

    All rates are environment steps per second, medians over turns of one rollout each. `steps_per_s` counts the steps
    of all agents. `bound_steps_per_s` is the passes of the same stacked network and the steps of its optimiser alone,
    on minibatches of the same sizes. `single_steps_per_s` is one agent alone, on a CPU with all threads.

    Args:
        recipe: the recipe of every agent.
        agents: P.
        turns: rollouts to time.
    """
    recipe = dataclasses.replace(recipe, steps=ENDLESS, threads=0)
    with contextlib.ExitStack() as stack:
        learner = make_learner(recipe, range(agents))
        single = stack.enter_context(worker(dataclasses.replace(recipe, threads=torch.get_num_threads())))
        bound = NetworksAlone(learner)
        rates: dict[str, Callable[[], float]] = {
            "stacked": lambda: timed(learner.rollout, agents * learner.rollout_size),
            "bound": lambda: timed(bound.rollout, agents * learner.rollout_size),
            "single": single.rate,
        }
        if recipe.device == "cpu":
            rates["pool"] = stack.enter_context(pool(recipe, min(agents, os.cpu_count() or 1)))
        for rate in rates.values():
            rate()
        measured = {name: np.array([]) for name in rates}
        for _ in range(turns):
            measured = {name: np.append(measured[name], rate()) for name, rate in rates.items()}
    return [_row(recipe, agents, program, measured) for program in ("stacked", "pool") if program in measured]


def _row(recipe: Recipe, agents: int, program: str, measured: dict[str, np.ndarray]) -> JsonObject:
    bound, single = measured["bound"], measured["single"]
    return {
        "agents": agents,
        "device": recipe.device,
        "program": program,
        "network": recipe.network,
        "precision": recipe.precision,
        "steps_per_s": float(np.median(measured[program])),
        "bound_steps_per_s": float(np.median(bound)),
        "single_steps_per_s": float(np.median(single)),
        # Medians of the ratios within a turn, which other load hardly changes.
        "of_bound": float(np.median(measured[program] / bound)),
        "times_single": float(np.median(measured[program] / single)),
    }


def timed(work: Callable[[], object], steps: int) -> float:
    """Return the steps per second of work that takes a number of steps."""
    synchronise()
    begun = time.perf_counter()
    work()
    synchronise()
    return steps / (time.perf_counter() - begun)


@contextlib.contextmanager
def pool(recipe: Recipe, processes: int) -> Iterator[Callable[[], float]]:
    """Start processes that train one agent each with one thread; yield what measures their steps per second together.

    As many agents are trained in this way one after the other: the rate does not depend on their number.
    """
    recipes = [dataclasses.replace(recipe, seed=seed, threads=1) for seed in range(processes)]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(processes) as threads:
        workers: Sequence[worker] = [stack.enter_context(worker(one)) for one in recipes]

        def rate() -> float:
            steps = processes * recipe.envs * recipe.rollout_steps
            return timed(lambda: list(threads.map(lambda one: one.rate(), workers)), steps)

        yield rate


class NetworksAlone:
    """The least that training a population can do: the networks' passes and the optimiser's steps of one rollout.

    Args:
        learner: the learner, whose buffer gives the observations.
    """

    def __init__(self, learner: PopulationLearner) -> None:
        self._settings, self._envs = learner.settings, learner.recipe.envs
        self._buffer = learner.rollouts.buffer
        self._network = network = copy.deepcopy(learner.network)
        on_gpu = learner.device.type == "cuda"
        self._optimizer = eager(torch.optim.Adam)(network.parameters(), lr=1e-3, eps=1e-5, capturable=on_gpu)
        sides = (network.agents, self._envs, *network.shape.observation)
        self._observations = torch.zeros(sides, dtype=self._buffer.observations.dtype, device=learner.device)
        batch = self._settings.batch_size
        # A recurrent network is updated on whole sequences.
        steps = self._buffer.steps if network.is_recurrent else 1
        self._steps, self._rows = steps, batch // steps
        sides = (network.agents, steps * self._rows, *network.shape.observation)
        self._minibatch = torch.zeros(sides, dtype=self._observations.dtype, device=learner.device)
        self._memory = network.initial_memory(self._envs).to(learner.device) if network.is_recurrent else None
        self._act = recorded(self._forward, learner.device)
        self._learn = recorded(
            self._update, learner.device, lambda: [*network.parameters(), *make_state(self._optimizer)]
        )

    def rollout(self) -> None:
        """Do the passes of one rollout and its update."""
        agents = self._network.agents
        for observations in self._buffer.observations:
            self._observations.copy_(observations.view_as(self._observations))
            self._act()
        # [T, P * E, ...] to [P, T * E, ...]
        sides = (-1, agents, self._envs, *self._network.shape.observation)
        every = self._buffer.observations.view(sides).transpose(0, 1).flatten(1, 2)
        for _ in range(self._settings.epochs):
            for part in torch.split(every, self._minibatch.shape[1], dim=1):
                self._minibatch.copy_(part)
                self._learn()

    @torch.no_grad()
    def _forward(self) -> Outputs:
        if self._memory is None:
            return self._network.outputs(self._observations)
        return self._network.step(self._observations, self._memory)

    def _update(self) -> Outputs:
        logits, values = self._outputs()
        self._optimizer.zero_grad()
        gradients = [torch.full_like(one, SMALL_GRADIENT) for one in (logits, values)]
        torch.autograd.backward([logits, values], gradients)
        self._optimizer.step()
        return (logits.detach(),)

    def _outputs(self) -> tuple[Tensor, Tensor]:
        """Return logits and values of the minibatch; step by step for a recurrent network."""
        if not self._network.is_recurrent:
            return self._network.outputs(self._minibatch)
        memory = self._network.initial_memory(self._rows).to(self._minibatch.device)
        features = self._network.encode(self._minibatch)
        steps = []
        for step in torch.split(features, self._rows, dim=1):
            logits, values, memory = self._network.recur(step, memory)
            steps.append((logits, values))
        return torch.cat([logits for logits, _ in steps], 1), torch.cat([values for _, values in steps], 1)
