"""How many agents of a recipe fit in memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from goalmaze.agents.devices import find_device
from goalmaze.agents.free_memory import free_memory
from goalmaze.agents.networks.base import RecurrentNetwork, Shape
from goalmaze.agents.networks.forward_pass import ForwardPass
from goalmaze.agents.networks.registry import make_network
from goalmaze.agents.training.algorithms import make_environments
from goalmaze.agents.training.population.settings import Settings
from goalmaze.agents.training.ppo import minibatch_loss
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.rollout_buffer import Minibatch
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject

USABLE = 0.8
"""The fraction of free memory that a population may take; libraries need work space too."""

COPIES = 6
"""Tensors of the size of the weights: weights, gradients, Adam's two moments, the last good weights, a temporary."""

BACKWARD = 1.5
"""Memory of an update relative to the activations that its forward pass keeps."""

STEP_BYTES = 8 + 5 * 4 + 1
"""Bytes of one step in the rollout buffer beside its observation: an integer, five floats and a flag."""


def agents_that_fit(recipe: Recipe, parameters: JsonObject | None = None) -> int:
    """Return how many agents of a recipe fit in the free memory of its device, and their environments in the host's.

    It is an estimate: the activations of one agent are measured, and a fifth of the memory is left free.

    Args:
        recipe: the recipe, whose device is used.
        parameters: parameters of the family that replace the recipe's.
    """
    settings, device = Settings.of(recipe), find_device(recipe.device)
    env = make_environments(_with_parameters(recipe, parameters))
    try:
        on_host = env.mazes.nbytes + env.shaping.nbytes
        shape = Shape.seeing(env.mazes.view)
    finally:
        env.close()
    on_device = _device_bytes(recipe, settings, shape)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(USABLE * min(free / on_device, free_memory() / on_host))
    return int(USABLE * free_memory() / (on_device + on_host))


def check_capacity(recipe: Recipe, parameters: Sequence[JsonObject]) -> None:
    """Check that a population fits in memory.

    Args:
        recipe: the recipe that the agents share.
        parameters: for each agent, the parameters of its family that replace the recipe's.

    Raises:
        GoalmazeError: it does not; the message says how many agents fit.
    """
    # Observations of all agents have one shape, so the first stands for all.
    fit = agents_that_fit(recipe, parameters[0])
    if len(parameters) > fit:
        raise GoalmazeError(
            f"{len(parameters)} agents of this recipe are more than memory holds: {fit} fit; train them in several "
            "runs, or lower envs"
        )


def _with_parameters(recipe: Recipe, parameters: JsonObject | None) -> Recipe:
    return dataclasses.replace(recipe, parameters=recipe.parameters | (parameters or {}))


def _device_bytes(recipe: Recipe, settings: Settings, shape: Shape) -> float:
    """Return the bytes of one agent on its device."""
    network = make_network(recipe.network, shape, recipe.network_options)
    weights = sum(parameter.nbytes for parameter in network.parameters())
    forward_pass = ForwardPass(network, recipe.precision == "bf16")
    observation = math.prod(shape.observation)
    rollout = recipe.envs * settings.rollout_steps * (observation + STEP_BYTES)
    minibatch = settings.batch_size * (_activation_bytes(forward_pass, settings) * BACKWARD + observation + STEP_BYTES)
    memory = 0
    if isinstance(network, RecurrentNetwork):
        memory = 4 * network.initial_memory(recipe.envs, shape.observation).nbytes
    return COPIES * weights + rollout + minibatch + memory


def _activation_bytes(network: ForwardPass, settings: Settings) -> float:
    """Return the bytes that a forward pass keeps for its gradient, for each single step."""
    steps = 1 if network.recurrent is None else settings.rollout_steps
    # Two rows, so that the standard deviation of the advantages exists.
    sides = (2,) if network.recurrent is None else (steps, 2)
    zeros = torch.zeros(sides)
    batch = Minibatch(
        observations=torch.zeros(*sides, *network.network.shape.observation, dtype=torch.uint8),
        actions=zeros.long(),
        old_log_prob=zeros,
        old_values=zeros,
        advantages=zeros,
        returns=zeros,
        episode_starts=zeros.bool(),
        memory=None if network.recurrent is None else network.initial_memory(2),
    )
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        # The loss is kept until the bytes are counted: memory that is freed would be counted once for two tensors.
        loss, _ = minibatch_loss(network, batch, settings.weights)
    del loss
    own = {parameter.untyped_storage().data_ptr() for parameter in network.network.parameters()}
    return sum(size for pointer, size in kept.items() if pointer not in own) / (2 * steps)
