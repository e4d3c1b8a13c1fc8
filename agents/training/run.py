"""From a recipe to a run folder: recipe, log, checkpoints, and the state from which an interrupted run goes on."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat
from tqdm import tqdm

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.files import remove_temporaries, write_atomically, write_json
from goalmaze.agents.loading import CHECKPOINT, RECIPE, load_agent
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.callback import RunProgress, Stopped, TrainingCallback
from goalmaze.agents.training.finite import NotFiniteError
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.run_lock import locked
from goalmaze.agents.training.signals import stop_signals
from goalmaze.agents.training.training_state import STATE, read_state, restore_state
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import extensions_needed

__all__ = [
    "RECIPE",
    "FinishedError",
    "TrainingResult",
    "environment",
    "read_recipe",
    "resume",
    "train",
]

TENSORBOARD = "tensorboard"
VERSIONS_OF = ("goalmaze", "gymnasium", "numba", "numpy", "safetensors", "stable-baselines3", "torch")
SAVE_EVERY_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """What training did.

    Attributes:
        folder: the run folder.
        steps: environment steps taken.
        seconds: of wall-clock time spent learning.
        interrupted: whether a person stopped it early.
    """

    folder: Path
    steps: int
    seconds: float
    interrupted: bool


class FinishedError(GoalmazeError):
    """A run that is to be resumed has taken all its steps.

    Attributes:
        result: what training did.
    """

    def __init__(self, result: TrainingResult) -> None:
        super().__init__(f"{result.folder} is finished after {result.steps:,} steps; nothing to resume")
        self.result = result


def train(
    recipe: Recipe, folder: Path, *, save_every: float = SAVE_EVERY_SECONDS, tensorboard: bool = False
) -> TrainingResult:
    """Train an agent into a new run folder; Ctrl-C ends it early with a checkpoint of what was learned.

    Args:
        recipe: how to train.
        folder: to make.
        save_every: seconds between saves of what a killed run can be resumed from; 0 saves before every rollout.
        tensorboard: whether to write TensorBoard's files too.

    Raises:
        GoalmazeError: the folder exists, or the recipe names something unknown; nothing is written then. Or the disk
            is full, or learning left numbers that are not finite; the last save stands then.
    """
    algorithm, resolved = _ready(recipe)
    if recipe.start:
        _begin_with(algorithm, recipe.start)
    outputs = _outputs(folder, tensorboard)
    _make(folder)
    try:
        write_json(folder / RECIPE, {"recipe": dataclasses.asdict(resolved), "environment": environment()})
    except GoalmazeError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with locked(folder / RECIPE):
        return _run(resolved, folder, algorithm, outputs(), save_every, None)


def resume(folder: Path, *, save_every: float = SAVE_EVERY_SECONDS, tensorboard: bool = False) -> TrainingResult:
    """Go on with an interrupted run from its last save; it ends bitwise where an uninterrupted one would.

    That holds on the same machine with the same versions; where they differ a line on standard error says so.

    Raises:
        FinishedError: the run has taken all its steps.
        GoalmazeError: there is nothing to resume, the run is under way, or its files are damaged.
    """
    recipe, made_in = read_recipe(folder)
    outputs = _outputs(folder, tensorboard)
    with locked(folder / RECIPE):
        remove_temporaries(folder)
        head, arrays = read_state(folder / STATE)
        numbers = head["numbers"]
        if recipe_from(numbers["recipe"]) != recipe:
            raise GoalmazeError(f"{folder / RECIPE} is no longer the recipe of the run; put back what was changed")
        algorithm, _ = _ready(recipe)
        restore_state(algorithm, head, arrays)
        progress = RunProgress(**numbers["progress"])
        if algorithm.num_timesteps >= recipe.steps:
            raise FinishedError(TrainingResult(folder, algorithm.num_timesteps, progress.seconds, interrupted=False))
        _cut(folder / LOG, progress.log_bytes)
        _tell_differences(made_in)
        return _run(recipe, folder, algorithm, outputs(), save_every, progress)


def read_recipe(folder: Path) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe of a run folder and the environment it was made in.

    Raises:
        GoalmazeError: there is none, or it cannot be read.
    """
    path = folder / RECIPE
    try:
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        return recipe_from(content["recipe"]), content.get("environment", {})
    except OSError as error:
        raise GoalmazeError(f"{folder} is no run folder: cannot read {path}: {error.strerror}") from None
    except GoalmazeError as error:
        raise GoalmazeError(
            f"recipe {path} does not fit this version of goalmaze: {error}; update goalmaze, or restore the file"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise GoalmazeError(f"recipe {path} is damaged ({error}); restore it or train anew") from None


def environment() -> dict[str, Any]:
    """Return the versions and the machine a number was made with."""
    return {
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in VERSIONS_OF},
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
    }


def _ready(recipe: Recipe) -> tuple[BaseAlgorithm, Recipe]:
    """Return the algorithm of a recipe, and the recipe with everything named that it left open."""
    keep_large_blocks()
    with extensions_needed(recipe.imports):
        mazes = make_environments(recipe)
        if recipe.threads:
            torch.set_num_threads(recipe.threads)
        algorithm = make_algorithm(recipe, mazes)
    resolved = dataclasses.replace(
        recipe,
        parameters=mazes.mazes.family.parameters,
        network_options=dataclasses.asdict(network_of(algorithm).options),
        threads=torch.get_num_threads(),
        device=algorithm.device.type,  # type: ignore[arg-type]
    )
    return algorithm, resolved


def _begin_with(algorithm: BaseAlgorithm, start: str) -> None:
    """Give the algorithm's network the weights of another agent."""
    network, agent = network_of(algorithm), load_agent(start)
    ours, theirs = ((one.name, one.options, one.shape.mode) for one in (network, agent.network))
    weights = network.state_dict()
    found = agent.network.state_dict()
    if ours != theirs or any(found[name].shape != tensor.shape for name, tensor in weights.items()):
        raise GoalmazeError(
            f"{start} is a network {theirs[0]} with {theirs[1]} that sees {theirs[2]}, this run trains {ours[0]} with "
            f"{ours[1]} on {ours[2]}; ask for the same network, or leave --start out"
        )
    network.load_state_dict(found)
    if isinstance(algorithm, DQN):
        algorithm.q_net_target.load_state_dict(algorithm.q_net.state_dict())


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise GoalmazeError(f"{folder} already exists; choose another --out or remove it") from None
    except OSError as error:
        raise GoalmazeError(f"cannot make {folder}: {error.strerror}; choose another --out") from None


def _outputs(folder: Path, tensorboard: bool) -> Any:
    """Return a function that opens what the logger writes to; a missing package is found out before anything else."""
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise GoalmazeError("--tensorboard needs TensorBoard; install it with: pip install 'goalmaze[tensorboard]'")

    def opened() -> list[KVWriter]:
        return [TensorBoardOutputFormat(str(folder / TENSORBOARD))] if tensorboard else []

    return opened


def _run(
    recipe: Recipe,
    folder: Path,
    algorithm: BaseAlgorithm,
    outputs: list[KVWriter],
    save_every: float,
    progress: RunProgress | None,
) -> TrainingResult:
    """Learn until the recipe's steps are taken or someone wishes to stop."""
    algorithm.set_logger(Logger(None, outputs))
    interrupted = False
    with stop_signals() as stop_request:
        callback = TrainingCallback(recipe, folder, stop_request, save_every, progress)
        try:
            algorithm.learn(recipe.steps - algorithm.num_timesteps, callback, reset_num_timesteps=progress is None)
        except (Stopped, KeyboardInterrupt):
            interrupted = True
        except NotFiniteError as error:
            raise _explained(error, algorithm, folder, callback.saved_steps) from None
        finally:
            callback.close()
            algorithm.logger.close()
    return TrainingResult(folder, callback.saved_steps, callback.progress.seconds, interrupted)


def _explained(error: NotFiniteError, algorithm: BaseAlgorithm, folder: Path, saved: int) -> NotFiniteError:
    """Return the error with the step at which it came and with what is left."""
    return NotFiniteError(
        error.what,
        f" at step {algorithm.num_timesteps:,}, so training stopped; the last good checkpoint is {folder / CHECKPOINT} "
        f"(step {saved:,}); try a smaller learning_rate or gradient_clip",
    )


def _cut(log: Path, length: int) -> None:
    """Cut a log back to its length at the last save."""
    try:
        content = log.read_bytes()
    except OSError as error:
        raise GoalmazeError(f"cannot read {log}: {error.strerror}; restore it or train anew") from None
    if len(content) < length:
        raise GoalmazeError(f"{log} is shorter than at the last save, so lines are lost; restore it or train anew")
    write_atomically(log, content[:length])


def _tell_differences(made_in: dict[str, Any]) -> None:
    """Say on standard error where this environment is not the one the run was begun in."""
    now, then = environment(), made_in
    pairs = {name: (then.get(name), now[name]) for name in ("machine", "system", "threads")}
    pairs |= {name: (then.get("versions", {}).get(name), version) for name, version in now["versions"].items()}
    changed = [f"{name} {new} instead of {old}" for name, (old, new) in pairs.items() if old != new]
    if changed:
        tqdm.write(f"goalmaze: resumed, but not bitwise as it would have been: {', '.join(changed)}", file=sys.stderr)
