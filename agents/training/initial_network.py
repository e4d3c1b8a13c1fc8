"""The network that training starts from, which its seed alone determines."""

from __future__ import annotations

import random

import numpy as np
import torch

from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.envs.json_data import ReadonlyJsonObject


def initial_network(name: str, shape: Shape, options: ReadonlyJsonObject | None, seed: int) -> Network:
    """Build an untrained network on the CPU whose weights depend on the seed alone.

    The global random generators are afterwards as they were before.

    Args:
        name: name of the network.
        shape: shape of its input and output.
        options: hyperparameters; others keep their defaults.
        seed: the seed of the weights.

    Raises:
        GoalmazeError: as `goalmaze.agents.networks.make_network`.
    """
    # A network of the user's own may draw from any of the three.
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        # Not `torch.manual_seed`, which also seeds the generators of all CUDA devices.
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            return make_network(name, shape, options)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
