"""Training runs: train the agent of a recipe into a run folder, and resume an interrupted run."""

from __future__ import annotations

import dataclasses
import importlib.util
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

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
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import read_json
from goalmaze.envs.versions import installed_version

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
    """How a training run ended.

    Attributes:
        folder: the run folder.
        steps: environment steps taken.
        seconds: wall-clock seconds of training.
        interrupted: whether it was stopped before its last step.
    """

    folder: Path
    steps: int
    seconds: float
    interrupted: bool


class FinishedError(GoalmazeError):
    """The run to resume has already taken all its steps.

    Attributes:
        result: how the run ended.
    """

    def __init__(self, result: TrainingResult) -> None:
        super().__init__(f"{result.folder} is finished after {result.steps:,} steps; nothing to resume")
        self.result = result


def train(
    recipe: Recipe, folder: Path, *, save_every: float = SAVE_EVERY_SECONDS, tensorboard: bool = False
) -> TrainingResult:
    """Train an agent into a new run folder. Ctrl-C saves and stops; `resume` then continues.

    Args:
        recipe: all settings.
        folder: the run folder, which must not exist.
        save_every: seconds between saves of the training state; 0 saves before every rollout.
        tensorboard: whether to write TensorBoard's files too.

    Raises:
        GoalmazeError: the folder exists, or the recipe has an unknown name; then nothing is written. Or the disk is
            full, or a number is NaN or infinite; then the last save remains.
    """
    # Everything that can be wrong with the recipe is found before the folder is made.
    algorithm, resolved = _prepare(recipe)
    if recipe.start:
        _load_weights(algorithm, recipe.start)
    open_outputs = _tensorboard_outputs(folder, tensorboard)
    _make_folder(folder)
    try:
        write_json(folder / RECIPE, {"recipe": dataclasses.asdict(resolved), "environment": environment()})
    except GoalmazeError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with locked(folder / RECIPE):
        return _run(resolved, folder, algorithm, open_outputs(), save_every, None)


def resume(folder: Path, *, save_every: float = SAVE_EVERY_SECONDS, tensorboard: bool = False) -> TrainingResult:
    """Continue an interrupted run from its last save.

    On the same machine with the same versions it ends bitwise as it would have without the interruption. Otherwise a
    line on standard error says what differs.

    Args:
        folder: the run folder.
        save_every: as in `train`.
        tensorboard: as in `train`.

    Raises:
        FinishedError: the run has taken all its steps.
        GoalmazeError: there is nothing to resume, another process trains the run, or its files are damaged.
    """
    recipe, original = read_recipe(folder)
    open_outputs = _tensorboard_outputs(folder, tensorboard)
    with locked(folder / RECIPE):
        remove_temporaries(folder)
        head, arrays = read_state(folder / STATE)
        numbers = head["numbers"]
        if recipe_from(numbers["recipe"]) != recipe:
            raise GoalmazeError(f"{folder / RECIPE} is no longer the recipe of the run; undo the change")
        algorithm, _ = _prepare(recipe)
        restore_state(algorithm, head, arrays)
        progress = RunProgress(**numbers["progress"])
        if algorithm.num_timesteps >= recipe.steps:
            raise FinishedError(TrainingResult(folder, algorithm.num_timesteps, progress.seconds, interrupted=False))
        # Rollouts after the last save are taken again, and so logged again.
        _truncate_log(folder / LOG, progress.log_bytes)
        _warn_of_differences(original)
        return _run(recipe, folder, algorithm, open_outputs(), save_every, progress)


def read_recipe(folder: Path) -> tuple[Recipe, JsonObject]:
    """Return the recipe of a run folder, and the `environment` that the run was started in.

    Raises:
        GoalmazeError: there is no recipe, or it cannot be read.
    """
    path = folder / RECIPE
    try:
        content = read_json(path)
        return recipe_from(content["recipe"]), content.get("environment", {})
    except OSError as error:
        raise GoalmazeError(f"{folder} is not a run folder: cannot read {path}: {error.strerror}") from None
    except GoalmazeError as error:
        raise GoalmazeError(
            f"recipe {path} does not fit this version of goalmaze: {error}; update goalmaze, or restore the file"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GoalmazeError(f"recipe {path} is damaged ({error}); restore it or train again") from None


def environment() -> JsonObject:
    """Return what results may depend on beside the recipe: versions of packages, machine, system and threads."""
    return {
        "versions": {"python": platform.python_version()} | {name: installed_version(name) for name in VERSIONS_OF},
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
    }


def _prepare(recipe: Recipe) -> tuple[BaseAlgorithm, Recipe]:
    """Return the algorithm of a recipe, and the recipe with all defaults filled in."""
    # Before the first large tensor is made.
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
        device="cuda" if algorithm.device.type == "cuda" else "cpu",
    )
    return algorithm, resolved


def _load_weights(algorithm: BaseAlgorithm, start: str) -> None:
    """Load the weights of another agent into the algorithm's network.

    Raises:
        GoalmazeError: there is no such agent, or its network is another one.
    """
    network, agent = network_of(algorithm), load_agent(start)
    trained, loaded = ((one.name, one.options, one.shape.spec.mode) for one in (network, agent.network))
    weights = agent.network.state_dict()
    # The shapes too: a flat read-out has the same options at every maze size.
    if trained != loaded or any(weights[name].shape != tensor.shape for name, tensor in network.state_dict().items()):
        raise GoalmazeError(
            f"{start} is a network {loaded[0]} with {loaded[1]} in mode {loaded[2]}, and this run trains {trained[0]} "
            f"with {trained[1]} in mode {trained[2]}; choose the same network and mode, or leave --start out"
        )
    network.load_state_dict(weights)
    if isinstance(algorithm, DQN):
        # DQN copied the random weights to its target network when it was made.
        algorithm.q_net_target.load_state_dict(algorithm.q_net.state_dict())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise GoalmazeError(f"{folder} already exists; choose another --out or remove it") from None
    except OSError as error:
        raise GoalmazeError(f"cannot make {folder}: {error.strerror}; choose another --out") from None


def _tensorboard_outputs(folder: Path, tensorboard: bool) -> Callable[[], list[KVWriter]]:
    """Return a function that opens the outputs of the logger.

    It is called once the folder exists, since TensorBoard's writer would make the folder itself.

    Raises:
        GoalmazeError: TensorBoard's files are to be written, and TensorBoard is not installed.
    """
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise GoalmazeError("--tensorboard needs TensorBoard; install it with: pip install 'goalmaze[tensorboard]'")

    def open_outputs() -> list[KVWriter]:
        return [TensorBoardOutputFormat(str(folder / TENSORBOARD))] if tensorboard else []

    return open_outputs


def _run(
    recipe: Recipe,
    folder: Path,
    algorithm: BaseAlgorithm,
    outputs: list[KVWriter],
    save_every: float,
    progress: RunProgress | None,
) -> TrainingResult:
    """Train until all steps are taken or a stop is requested.

    Args:
        recipe: the recipe.
        folder: the run folder.
        algorithm: the algorithm, at the start of the run or restored.
        outputs: outputs of its logger.
        save_every: seconds between saves.
        progress: the progress of a resumed run; None for a new run.
    """
    algorithm.set_logger(Logger(None, outputs))
    interrupted = False
    with stop_signals() as stop_request:
        callback = TrainingCallback(recipe, folder, stop_request, save_every, progress)
        try:
            algorithm.learn(recipe.steps - algorithm.num_timesteps, callback, reset_num_timesteps=progress is None)
        except (Stopped, KeyboardInterrupt):
            interrupted = True
        except NotFiniteError as error:
            raise _with_advice(error, algorithm, folder, callback.saved_steps) from None
        finally:
            callback.close()
            algorithm.logger.close()
    return TrainingResult(folder, callback.saved_steps, callback.progress.seconds, interrupted)


def _with_advice(error: NotFiniteError, algorithm: BaseAlgorithm, folder: Path, saved: int) -> NotFiniteError:
    """Return the error with the step, the last good checkpoint and a remedy in its message."""
    return NotFiniteError(
        error.what,
        f" at step {algorithm.num_timesteps:,}, so training stopped; the last good checkpoint is {folder / CHECKPOINT} "
        f"(step {saved:,}); try a smaller learning_rate or gradient_clip",
    )


def _truncate_log(log: Path, length: int) -> None:
    """Truncate a log to its length in bytes at the last save.

    Raises:
        GoalmazeError: the log cannot be read, or it is shorter.
    """
    try:
        content = log.read_bytes()
    except OSError as error:
        raise GoalmazeError(f"cannot read {log}: {error.strerror}; restore it or train again") from None
    if len(content) < length:
        raise GoalmazeError(f"{log} is shorter than at the last save, so lines are lost; restore it or train again")
    write_atomically(log, content[:length])


def _warn_of_differences(original: JsonObject) -> None:
    """Print to standard error how this environment differs from the one that the run was started in."""
    now = environment()
    pairs = {name: (original.get(name), now[name]) for name in ("machine", "system", "threads")}
    pairs |= {name: (original.get("versions", {}).get(name), version) for name, version in now["versions"].items()}
    changed = [f"{name} {new} instead of {old}" for name, (old, new) in pairs.items() if old != new]
    if changed:
        tqdm.write(
            f"goalmaze: resumed, but not bitwise as without the interruption: {', '.join(changed)}", file=sys.stderr
        )
