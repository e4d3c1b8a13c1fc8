"""The learner of a population: P agents of one recipe, trained as one program.

Every agent learns what `goalmaze.agents.training.ppo.TensorPPO` learns with its seed: the same levels, initial weights,
action draws and minibatches, which are fixed by seed, environment and step, and the same mathematics. Its numbers are
equal up to the rounding of float32.

Axes: P agents, T steps, E environments of each agent, B = P * E.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.devices import find_device
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.agents.networks.stacked import StackedNetwork
from goalmaze.agents.training.addressed_draws import minibatch_orders
from goalmaze.agents.training.initial_network import initial_network
from goalmaze.agents.training.losses import METRICS
from goalmaze.agents.training.population.acting import Rollouts
from goalmaze.agents.training.population.environments import PopulationEnvironments
from goalmaze.agents.training.population.settings import Settings
from goalmaze.agents.training.population.updating import CHECKED, Updater, beside
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.rollout_buffer import TensorRolloutBuffer
from goalmaze.agents.training.sb3_environment import Arrays
from goalmaze.agents.training.start import start_weights
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family


@dataclasses.dataclass(frozen=True)
class StoppedAgent:
    """An agent whose training stopped because a number was not finite.

    Attributes:
        agent: its number in the population.
        seed: its training seed.
        what: the thing that holds the number, such as "the loss".
        step: its step count then.
        kept: the step count of its weights, the last good ones.
    """

    agent: int
    seed: int
    what: str
    step: int
    kept: int

    def __str__(self) -> str:
        """Return one line for the user."""
        return (
            f"agent {self.agent} (seed {self.seed}): {self.what} is not finite at step {self.step:,}, so this agent "
            f"stopped; its weights after {self.kept:,} steps are kept"
        )


class LearnerNumbers(TypedDict):
    """The numbers of a learner that are not arrays.

    Attributes:
        steps: environment steps that every agent has taken.
        stopped: fields of each `StoppedAgent`.
    """

    steps: int
    stopped: list[JsonObject]


class PopulationLearner:
    """Trains P agents as one program.

    Args:
        recipe: the recipe that the agents share; its seed is not used.
        seeds: P training seeds.
        parameters: for each agent, the parameters of its family that replace the recipe's; none where None.
        overlap: whether two halves of the environments advance in turn, while the device computes the actions of the
            other half. It changes no result.

    Attributes:
        recipe: as given.
        seeds: as given.
        device: where the networks are.
        network: the stacked networks.
        environments: the environments.
        rollouts: takes the rollouts; its buffer holds the last one.
        steps: environment steps that every agent has taken.
        stopped: the agents that stopped early, in the order in which they did.

    Raises:
        GoalmazeError: the recipe is of another algorithm, or shapes of observations differ.
    """

    def __init__(
        self,
        recipe: Recipe,
        seeds: Sequence[int],
        *,
        parameters: Sequence[JsonObject] | None = None,
        overlap: bool = True,
    ) -> None:
        self.settings = settings = Settings.of(recipe)
        self.recipe, self.seeds, self.steps = recipe, tuple(int(seed) for seed in seeds), 0
        own = [{} for _ in seeds] if parameters is None else parameters
        self.environments = PopulationEnvironments(recipe, self.seeds, own)
        self.device = find_device(recipe.device)
        first = self.environments.first
        networks = _initial_networks(recipe, self.seeds, Shape.seeing(first.mazes.view))
        self.network = StackedNetwork(networks, bf16=recipe.precision == "bf16").to(self.device)
        if self.device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        buffer = TensorRolloutBuffer(
            settings.rollout_steps,
            first.observation_space,  # type: ignore[arg-type]
            first.action_space,  # type: ignore[arg-type]
            self.device,
            settings.gae_lambda,
            settings.discount,
            recipe.envs * len(self.seeds),
        )
        self.rollouts = Rollouts(self.network, self.environments, self.seeds, buffer, overlap)
        self._updater = Updater(self.network, settings, buffer)
        self.stopped: list[StoppedAgent] = []
        self._kept = {name: tensor.clone() for name, tensor in self.network.tensors().items()}
        self._metrics: NDArray[np.float32] | None = None
        self._next_orders = -1, np.empty(0, np.int64)
        self.environments.reset()

    @property
    def families(self) -> list[Family]:
        """The family of every agent."""
        return self.environments.families()

    @property
    def rollout_size(self) -> int:
        """Environment steps of each agent in one rollout."""
        return self.recipe.envs * self.settings.rollout_steps

    @property
    def is_finished(self) -> bool:
        """Whether every agent has taken its steps or stopped early."""
        return self.steps >= self.recipe.steps or len(self.stopped) == len(self.seeds)

    def agent_steps(self) -> list[int]:
        """Return the step count of every agent's weights."""
        kept = {one.agent: one.kept for one in self.stopped}
        return [kept.get(agent, self.steps) for agent in range(len(self.seeds))]

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights [P, ...] of all agents, copied to the CPU, by their names in the state of one network."""
        return {name: tensor.cpu().clone() for name, tensor in self.network.tensors().items()}

    def rollout(self) -> list[StoppedAgent]:
        """Take a rollout and update the networks on it.

        Returns:
            The agents that stopped, because a number of theirs is not finite.
        """
        self.rollouts.collect(self.steps // self.recipe.envs)
        number = self.steps // self.rollout_size
        self.steps += self.rollout_size
        remaining = max(1.0 - self.steps / self.recipe.steps, 0.0)
        metrics = self._updater.update(self._orders(number), self.recipe.learning_rate * remaining)
        # While a GPU works on the update, the host draws what the next rollout needs.
        self.rollouts.prepare(self.steps // self.recipe.envs)
        self._next_orders = number + 1, self._drawn_orders(number + 1)
        # One transfer for the whole update; until here nothing after the actions waited for the device.
        self._metrics = metrics.cpu().numpy()
        return self._stop_agents()

    def _orders(self, rollout: int) -> NDArray[np.int64]:
        """Return the orders of a rollout, which may have been drawn before."""
        number, orders = self._next_orders
        return orders if number == rollout else self._drawn_orders(rollout)

    def _drawn_orders(self, rollout: int) -> NDArray[np.int64]:
        """Return int64 [epochs, P, n], the order of single steps or environments in every epoch."""
        count = self.recipe.envs if self.network.is_recurrent else self.rollout_size
        epochs = range(self.settings.epochs)
        return np.stack([minibatch_orders(self.seeds, rollout, epoch, count) for epoch in epochs])

    def _stop_agents(self) -> list[StoppedAgent]:
        """Give agents that are not finite their last good weights back, and return those that were found just now."""
        active = self._updater.active
        known = {one.agent for one in self.stopped}
        finite = self._updater.finite.cpu().numpy()
        new = [
            StoppedAgent(
                agent=int(agent),
                seed=self.seeds[agent],
                what=CHECKED[int(np.argmin(finite[:, agent]))],
                step=self.steps,
                kept=self.steps - self.rollout_size,
            )
            for agent in np.flatnonzero(~finite.all(0))
            if int(agent) not in known
        ]
        self.stopped += new
        for name, tensor in self.network.tensors().items():
            if self.stopped:
                tensor.copy_(torch.where(beside(active, tensor), tensor, self._kept[name]))
            self._kept[name].copy_(tensor)
        return new

    def log_rows(self) -> list[tuple[float, ...]]:
        """Return the numbers of every agent's last rollout, in the order of a log's columns from "episodes" on.

        They are episodes, levels, solved, length, return, cue_return, entropy, policy_loss, value_loss and kl.

        Raises:
            GoalmazeError: no rollout was taken since the learner was made.
        """
        if self._metrics is None:
            raise GoalmazeError("there is nothing to log before the first rollout")
        means = self._metrics.mean(axis=0)
        # As stable-baselines3 logs it: the KL divergence of the last epoch alone.
        last_epoch = self._metrics[-(len(self._metrics) // self.settings.epochs) :].mean(axis=0)
        column = {name: METRICS.index(name) for name in METRICS}
        return [
            (
                statistics.episodes,
                statistics.levels,
                *(float(mean) for mean in statistics.recent),
                -float(means[agent, column["entropy_loss"]]),
                float(means[agent, column["policy_gradient_loss"]]),
                float(means[agent, column["value_loss"]]),
                float(last_epoch[agent, column["approx_kl"]]),
            )
            for agent, statistics in enumerate(self.environments.statistics())
        ]

    def solved(self) -> NDArray[np.float64]:
        """Return float64 [P], the rate of solved mazes among every agent's latest episodes; NaN before any ended."""
        return np.array([statistics.recent[0] for statistics in self.environments.statistics()])

    def snapshot(self) -> tuple[Arrays, LearnerNumbers]:
        """Return a copy of everything that `restore` needs to continue from here, bitwise on a CPU."""
        rollouts, updater = self.rollouts, self._updater
        arrays: Arrays = {f"environments/{name}": array for name, array in self.environments.snapshot().items()}
        arrays |= {f"weights/{name}": _as_array(tensor) for name, tensor in self.network.tensors().items()}
        for name, state in zip(self._parameter_names(), updater.optimizer.state.values(), strict=True):
            arrays |= {f"optimizer/{name}/{key}": _as_array(tensor) for key, tensor in state.items()}
        arrays |= {"starts": rollouts.starts.copy(), "finite": _as_array(updater.finite)}
        if rollouts.memory is not None:
            arrays["memory"] = _as_array(rollouts.memory)
        stopped = [dataclasses.asdict(one) for one in self.stopped]
        return arrays, {"steps": self.steps, "stopped": stopped}

    def restore(self, arrays: Arrays, numbers: LearnerNumbers) -> None:
        """Continue from a `snapshot` of a learner that was made with the same arguments.

        Raises:
            GoalmazeError: the snapshot does not fit.
        """
        rollouts, updater = self.rollouts, self._updater
        try:
            self.environments.restore(_without_prefix("environments/", arrays))
            weights = _without_prefix("weights/", arrays)
            self.network.load_tensors({name: torch.from_numpy(array) for name, array in weights.items()})
            for name, state in zip(self._parameter_names(), updater.optimizer.state.values(), strict=True):
                for key, tensor in state.items():
                    tensor.copy_(torch.from_numpy(arrays[f"optimizer/{name}/{key}"]))
            updater.finite.copy_(torch.from_numpy(arrays["finite"]))
            updater.active.copy_(updater.finite.all(0))
            rollouts.starts = arrays["starts"].astype(np.bool_)
            if rollouts.memory is not None:
                rollouts.memory.copy_(torch.from_numpy(arrays["memory"]))
            self.steps = numbers["steps"]
            self.stopped = [StoppedAgent(**one) for one in numbers["stopped"]]
        except (KeyError, RuntimeError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise GoalmazeError(f"the training state does not fit its recipe or this version: {reason}") from None
        for name, tensor in self.network.tensors().items():
            self._kept[name].copy_(tensor)

    def _parameter_names(self) -> list[str]:
        return [name for name, _ in self.network.named_parameters()]


def _initial_networks(recipe: Recipe, seeds: Sequence[int], shape: Shape) -> list[Network]:
    """Return the networks that training starts from: untrained ones, or copies of what the recipe names."""
    networks = [initial_network(recipe.network, shape, recipe.network_options, seed) for seed in seeds]
    if recipe.start:
        for network, seed in zip(networks, seeds, strict=True):
            network.load_state_dict(start_weights(recipe.start, network, seed))
    return networks


def _as_array(tensor: Tensor) -> NDArray[np.generic]:
    array: NDArray[np.generic] = tensor.detach().cpu().numpy().copy()
    return array


def _without_prefix(prefix: str, arrays: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
