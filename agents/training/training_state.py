"""The training state: everything that an interrupted run needs to continue bitwise.

One safetensors file holds the arrays and, in its metadata, a JSON document with all other numbers (`StateHead`), so
loading it runs no code. A digest of both shows whether the file is damaged. The file is replaced atomically.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from torch import Tensor

from goalmaze.agents.training.addressed_draws import AddressedDraws, GlobalDraws
from goalmaze.agents.training.migration import current_state
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.sb3_environment import Arrays, as_algorithm_input, unwrap
from goalmaze.agents.training.state_file import read_state_file, remedy, write_state_file
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject

STATE = "state.safetensors"
FORMAT = 3
"""Version of the format that this version writes; `goalmaze.agents.training.migration` reads earlier ones."""
METADATA_KEY = "goalmaze_state"
DRAWS = 1
"""Version of the addresses of random numbers, see `goalmaze.agents.training.addressed_draws`."""

REPLAY_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
"""The arrays of stable-baselines3's `ReplayBuffer`."""

SB3_COUNTERS = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls", "exploration_rate")
"""Attributes of stable-baselines3's algorithms that change in training. Each algorithm has some of them."""


class ReplayPosition(TypedDict):
    """Where the next transition goes in DQN's replay buffer, and whether the buffer has been filled once."""

    pos: int
    full: bool


class GeneratorNumbers(TypedDict):
    """The states of the random generators, except for their arrays.

    Attributes:
        numpy: position, has_gauss and gauss of `numpy.random.get_state`.
        python: version and next_gauss of `random.getstate`.
        actions: state of the bit generator of the action space.
    """

    numpy: tuple[int, int, float]
    python: tuple[int, float | None]
    actions: ReadonlyJsonObject


class AlgorithmNumbers(TypedDict):
    """The numbers of an algorithm that are not arrays.

    Attributes:
        counts: those of `SB3_COUNTERS` that it has.
        generators: the random generators.
        replay: of DQN.
        draws: `DRAWS` where `TensorPPO` has addressed draws; absent in runs that earlier versions began.
    """

    counts: dict[str, float]
    generators: GeneratorNumbers
    replay: NotRequired[ReplayPosition]
    draws: NotRequired[int]


class RunNumbers(TypedDict):
    """What the run adds: fields of its `RunProgress` and of its recipe, and its id, which earlier versions left out."""

    progress: JsonObject
    recipe: JsonObject
    run: NotRequired[str]


class StateHead(TypedDict):
    """The JSON document of a training state."""

    format: int
    algorithm: AlgorithmNumbers
    numbers: RunNumbers


def save_state(path: Path, algorithm: BaseAlgorithm, numbers: RunNumbers) -> None:
    """Write the state of an algorithm between two rollouts, with the numbers of its run, atomically."""
    arrays, content = _state_of(algorithm)
    head: StateHead = {"format": FORMAT, "algorithm": content, "numbers": numbers}
    write_state_file(path, METADATA_KEY, head, arrays)


def read_state(path: Path) -> tuple[StateHead, Arrays]:
    """Return the head and the arrays of a state, checked against its digest.

    Raises:
        GoalmazeError: the state is missing, truncated, damaged or of another version.
    """
    head, arrays = read_state_file(path, METADATA_KEY)
    try:
        if head["format"] in (1, 2):
            head, arrays = current_state(head, arrays)
        is_known = head["format"] == FORMAT
        # Checked and not converted: counts are integers or floats, and have to stay what they are.
        if is_known:
            msgspec.convert(head, StateHead)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        # Anyone can write a digest that matches.
        raise GoalmazeError(f"training state {path} is no state of a run ({error}); {remedy(path)}") from None
    if not is_known:
        raise GoalmazeError(
            f"training state {path} is of another version of goalmaze; resume it there, or {remedy(path)}"
        )
    return cast(StateHead, head), arrays


def restore_state(algorithm: BaseAlgorithm, head: StateHead, arrays: Arrays) -> None:
    """Restore a saved state into an algorithm that was made from the same recipe.

    Raises:
        GoalmazeError: the state does not fit the algorithm.
    """
    content, mazes = head["algorithm"], unwrap(algorithm.env)
    try:
        mazes.restore(_without_prefix("environments", arrays))
        weights = {name: torch.from_numpy(array) for name, array in _without_prefix("weights", arrays).items()}
        algorithm.policy.load_state_dict(weights)
        _restore_optimizer(algorithm.policy.optimizer, _without_prefix("optimizer", arrays))
        if isinstance(algorithm, TensorPPO) and content.get("draws") != DRAWS:
            # The run began before draws had addresses, and ends as it would have ended then.
            algorithm.draws = GlobalDraws()
        if isinstance(algorithm, TensorPPO) and "memory" in arrays:
            algorithm.memory = torch.from_numpy(arrays["memory"]).to(algorithm.device)
        if isinstance(algorithm, TensorPPO) and algorithm.term is not None:
            algorithm.term.restore(_without_prefix("term", arrays))
        if isinstance(algorithm, DQN):
            replay = cast(ReplayBuffer, algorithm.replay_buffer)
            _restore_replay(replay, content["replay"], _without_prefix("replay", arrays))
        # stable-baselines3 has no public names for what the next rollout starts from. A copy, since the environments
        # change their observations in place.
        algorithm._last_obs = as_algorithm_input(algorithm.env, mazes.observations.copy())
        algorithm._last_episode_starts = arrays["begins"]
        for name, count in content["counts"].items():
            if name not in SB3_COUNTERS:
                raise KeyError(name)
            setattr(algorithm, name, count)
        # Last, since everything above may draw random numbers.
        _restore_generators(algorithm, content["generators"], _without_prefix("generators", arrays))
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GoalmazeError(f"the training state does not fit its recipe or this version: {reason}") from None


def _state_of(algorithm: BaseAlgorithm) -> tuple[Arrays, AlgorithmNumbers]:
    """Return the state of an algorithm as arrays and as plain numbers."""
    mazes = unwrap(algorithm.env)
    generators, numbers = _generators(algorithm)
    arrays = {
        **_prefixed("environments", mazes.snapshot()),
        **_prefixed("weights", {name: _as_array(tensor) for name, tensor in algorithm.policy.state_dict().items()}),
        **_prefixed("optimizer", _optimizer(algorithm.policy.optimizer)),
        **_prefixed("generators", generators),
        "begins": np.asarray(algorithm._last_episode_starts),
    }
    counts = {name: getattr(algorithm, name) for name in SB3_COUNTERS if hasattr(algorithm, name)}
    content: AlgorithmNumbers = {"counts": counts, "generators": numbers}
    if isinstance(algorithm, TensorPPO) and isinstance(algorithm.draws, AddressedDraws):
        content["draws"] = DRAWS
    if isinstance(algorithm, TensorPPO) and algorithm.memory is not None:
        arrays["memory"] = _as_array(algorithm.memory)
    if isinstance(algorithm, TensorPPO) and algorithm.term is not None:
        arrays |= _prefixed("term", algorithm.term.arrays())
    if isinstance(algorithm, DQN):
        replay = cast(ReplayBuffer, algorithm.replay_buffer)
        content["replay"] = {"pos": replay.pos, "full": replay.full}
        # Rows that were never filled are left out: the buffer is much larger than a short run.
        filled = replay.buffer_size if replay.full else replay.pos
        arrays |= _prefixed("replay", {name: getattr(replay, name)[:filled] for name in REPLAY_ARRAYS})
    # safetensors writes the memory of an array as it is, so a transposed one would be read back wrong.
    return {name: np.array(array, order="C") for name, array in arrays.items()}, content


def _restore_replay(replay: ReplayBuffer, position: ReplayPosition, arrays: Arrays) -> None:
    replay.pos, replay.full = position["pos"], position["full"]
    for name in REPLAY_ARRAYS:
        getattr(replay, name)[: len(arrays[name])] = arrays[name]


def _optimizer(optimizer: torch.optim.Optimizer) -> Arrays:
    """Return an optimiser's state as "NUMBER.NAME" → array, by the number of the parameter.

    The learning rate is not part of it: it follows from the schedule.
    """
    states: dict[int, dict[str, Tensor | float]] = optimizer.state_dict()["state"]
    return {f"{number}.{name}": _as_array(value) for number, values in states.items() for name, value in values.items()}


def _restore_optimizer(optimizer: torch.optim.Optimizer, arrays: Arrays) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for key, array in arrays.items():
        number, name = key.split(".", 1)
        states.setdefault(int(number), {})[name] = torch.from_numpy(array)
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def _generators(algorithm: BaseAlgorithm) -> tuple[Arrays, GeneratorNumbers]:
    """Return the states of all random generators of training, as arrays and as plain numbers."""
    # torch draws initial weights and actions, numpy permutes minibatches and decides when DQN explores, the action
    # space draws its random actions. Python's generator may be used by a network or family of the user's own.
    numpy_state = cast("tuple[str, NDArray[np.uint32], int, int, float]", np.random.get_state())  # noqa: NPY002
    _, keys, position, has_gauss, gauss = numpy_state
    version, words, next_gauss = random.getstate()
    arrays = {"torch": _as_array(torch.get_rng_state()), "numpy": keys, "python": np.array(words, np.uint64)}
    if algorithm.device.type == "cuda":
        arrays["cuda"] = _as_array(torch.cuda.get_rng_state(algorithm.device))
    numbers: GeneratorNumbers = {
        "numpy": (position, has_gauss, gauss),
        "python": (version, next_gauss),
        "actions": algorithm.action_space.np_random.bit_generator.state,
    }
    return arrays, numbers


def _restore_generators(algorithm: BaseAlgorithm, numbers: GeneratorNumbers, arrays: Arrays) -> None:
    torch.set_rng_state(torch.from_numpy(arrays["torch"]))
    # A run that began on a CPU has no generator of a GPU.
    if algorithm.device.type == "cuda" and "cuda" in arrays:
        torch.cuda.set_rng_state(torch.from_numpy(arrays["cuda"]), algorithm.device)
    keys = arrays["numpy"].astype(np.uint32, copy=False)
    np.random.set_state(("MT19937", keys, *numbers["numpy"]))  # noqa: NPY002
    version, next_gauss = numbers["python"]
    random.setstate((version, tuple(int(word) for word in arrays["python"]), next_gauss))
    algorithm.action_space.np_random.bit_generator.state = numbers["actions"]


def _as_array(value: Tensor | float) -> NDArray[np.generic]:
    """Return a tensor or number as an array."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _prefixed(group: str, arrays: Arrays) -> Arrays:
    return {f"{group}/{name}": array for name, array in arrays.items()}


def _without_prefix(group: str, arrays: Arrays) -> Arrays:
    prefix = f"{group}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
