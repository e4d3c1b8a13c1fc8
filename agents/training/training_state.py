"""All that training needs to go on as if it had never been interrupted, in one safetensors file; loading runs no code.

The file's metadata holds one JSON document with the numbers that are no arrays. A digest of everything guards against
damage, and the file is only ever replaced whole.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from torch import Tensor

from goalmaze.agents.files import write_atomically
from goalmaze.agents.training.migration import current_state
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.sb3_environment import Arrays, as_seen, mazes_of
from goalmaze.envs.errors import GoalmazeError

STATE = "state.safetensors"
FORMAT = 2
METADATA_KEY = "goalmaze_state"
REPLAYED = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")
COUNTS = ("num_timesteps", "_n_updates", "_episode_num", "_n_calls", "exploration_rate")
"""The numbers of stable-baselines3's algorithms that change; each algorithm has some of them."""


def save_state(path: Path, algorithm: BaseAlgorithm, numbers: dict[str, Any]) -> None:
    """Write where an algorithm stands between two rollouts, with `numbers` of the caller's, whole or not at all."""
    arrays, own = _taken(algorithm)
    head = {"format": FORMAT, "algorithm": own, "numbers": numbers}
    head["digest"] = _digest(head, arrays)
    write_atomically(path, save(arrays, {METADATA_KEY: json.dumps(head)}))


def read_state(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Return the head and the arrays of a state, checked against its digest.

    Raises:
        GoalmazeError: it is missing, truncated, damaged or of another version.
    """
    remedy = f"train anew with goalmaze train --recipe {path.parent / 'recipe.json'} --out NEW"
    if not path.is_file():
        raise GoalmazeError(f"there is no training state at {path}, so nothing to resume; {remedy}")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            head = json.loads((file.metadata() or {})[METADATA_KEY])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no dict
        digest = head.pop("digest")
        whole = digest == _digest(head, arrays)
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise GoalmazeError(f"training state {path} is damaged, nothing was resumed; {remedy}")
    if head["format"] == 1:
        head, arrays = current_state(head, arrays)
    if head["format"] != FORMAT:
        raise GoalmazeError(f"training state {path} is of another version of goalmaze; resume it there, or {remedy}")
    return head, arrays


def restore_state(algorithm: BaseAlgorithm, head: dict[str, Any], arrays: Arrays) -> None:
    """Put an algorithm, made from the same recipe, where another stood when its state was saved.

    Raises:
        GoalmazeError: the state does not fit the algorithm.
    """
    own, mazes = head["algorithm"], mazes_of(algorithm.env)
    try:
        mazes.restore(_under("environments", arrays))
        weights = {name: torch.from_numpy(array) for name, array in _under("weights", arrays).items()}
        algorithm.policy.load_state_dict(weights)
        _restore_optimizer(algorithm.policy.optimizer, _under("optimizer", arrays))
        if isinstance(algorithm, TensorPPO) and "memory" in arrays:
            algorithm.memory = torch.from_numpy(arrays["memory"]).to(algorithm.device)
        if isinstance(algorithm, DQN):
            _restore_replay(cast(ReplayBuffer, algorithm.replay_buffer), own, _under("replay", arrays))
        algorithm._last_obs = as_seen(algorithm.env, mazes.observations.copy())
        algorithm._last_episode_starts = arrays["begins"]
        for name, count in own["counts"].items():
            setattr(algorithm, name, count)
        _restore_generators(algorithm, own["generators"], _under("generators", arrays))
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GoalmazeError(f"the training state does not fit its recipe or this version: {reason}") from None


def _taken(algorithm: BaseAlgorithm) -> tuple[Arrays, dict[str, Any]]:
    mazes = mazes_of(algorithm.env)
    generators, kept = _generators(algorithm)
    arrays = {
        **_named("environments", mazes.snapshot()),
        **_named("weights", {name: _plain(tensor) for name, tensor in algorithm.policy.state_dict().items()}),
        **_named("optimizer", _optimizer(algorithm.policy.optimizer)),
        **_named("generators", generators),
        "begins": np.asarray(algorithm._last_episode_starts),
    }
    counts = {name: getattr(algorithm, name) for name in COUNTS if hasattr(algorithm, name)}
    own: dict[str, Any] = {"counts": counts, "generators": kept}
    if isinstance(algorithm, TensorPPO) and algorithm.memory is not None:
        arrays["memory"] = _plain(algorithm.memory)
    if isinstance(algorithm, DQN):
        replay = cast(ReplayBuffer, algorithm.replay_buffer)
        own["replay"] = {"pos": replay.pos, "full": replay.full}
        filled = replay.buffer_size if replay.full else replay.pos
        arrays |= _named("replay", {name: getattr(replay, name)[:filled] for name in REPLAYED})
    return {name: np.array(array, order="C") for name, array in arrays.items()}, own


def _restore_replay(replay: ReplayBuffer, own: dict[str, Any], arrays: Arrays) -> None:
    replay.pos, replay.full = own["replay"]["pos"], own["replay"]["full"]
    for name in REPLAYED:
        getattr(replay, name)[: len(arrays[name])] = arrays[name]


def _optimizer(optimizer: torch.optim.Optimizer) -> Arrays:
    """Return what an optimiser keeps of each of its parameters, named by number; its rates follow from the schedule."""
    kept: dict[int, dict[str, Any]] = optimizer.state_dict()["state"]
    return {f"{number}.{name}": _plain(value) for number, of in kept.items() for name, value in of.items()}


def _restore_optimizer(optimizer: torch.optim.Optimizer, arrays: Arrays) -> None:
    kept: dict[int, dict[str, Tensor]] = {}
    for place, array in arrays.items():
        number, name = place.split(".", 1)
        kept.setdefault(int(number), {})[name] = torch.from_numpy(array)
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})


def _generators(algorithm: BaseAlgorithm) -> tuple[Arrays, dict[str, Any]]:
    """Return every random generator that training draws from, as arrays and as plain numbers."""
    _, keys, position, has_gauss, gauss = cast(Any, np.random.get_state())  # noqa: NPY002  stable-baselines3's
    version, words, next_gauss = random.getstate()
    arrays = {"torch": _plain(torch.get_rng_state()), "numpy": keys, "python": np.array(words, np.uint64)}
    if algorithm.device.type == "cuda":
        arrays["cuda"] = _plain(torch.cuda.get_rng_state(algorithm.device))
    spaces = algorithm.action_space.np_random.bit_generator.state
    kept = {"numpy": [position, has_gauss, gauss], "python": [version, next_gauss], "actions": spaces}
    return arrays, kept


def _restore_generators(algorithm: BaseAlgorithm, kept: dict[str, Any], arrays: Arrays) -> None:
    torch.set_rng_state(torch.from_numpy(arrays["torch"]))
    if algorithm.device.type == "cuda":
        torch.cuda.set_rng_state(torch.from_numpy(arrays["cuda"]), algorithm.device)
    np.random.set_state(("MT19937", arrays["numpy"], *kept["numpy"]))  # noqa: NPY002
    version, next_gauss = kept["python"]
    random.setstate((version, tuple(int(word) for word in arrays["python"]), next_gauss))
    algorithm.action_space.np_random.bit_generator.state = kept["actions"]


def _plain(value: Any) -> NDArray[Any]:
    """Return a tensor or number as an array."""
    return value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)


def _named(group: str, arrays: Arrays) -> Arrays:
    return {f"{group}/{name}": array for name, array in arrays.items()}


def _under(group: str, arrays: Arrays) -> Arrays:
    prefix = f"{group}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _digest(head: dict[str, Any], arrays: Arrays) -> str:
    digest = hashlib.blake2b(json.dumps(head, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
