"""Training runs: train the agent of a recipe into a run folder, and resume an interrupted run."""

from __future__ import annotations

import dataclasses
import importlib.util
import platform
import shlex
import shutil
import signal
import sys
from pathlib import Path
from typing import cast

import torch
from stable_baselines3 import DQN
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat
from tqdm import tqdm

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.checkpoints import is_checkpoint_of, save_checkpoint
from goalmaze.agents.devices import DeviceName, find_device
from goalmaze.agents.files import remove_temporaries, write_atomically, write_json
from goalmaze.agents.loading import CHECKPOINT, RECIPE
from goalmaze.agents.training.algorithms import make_algorithm, make_environments, network_of
from goalmaze.agents.training.callback import Stopped, TrainingCallback
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.agents.training.curricula.registry import all_options
from goalmaze.agents.training.device_recipe import choices_of, for_device, on_device
from goalmaze.agents.training.finite import NotFiniteError
from goalmaze.agents.training.log import LOG
from goalmaze.agents.training.population_plan import PopulationPlan
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.run_folder import ID, RunFolder, new_id
from goalmaze.agents.training.run_lock import locked
from goalmaze.agents.training.run_progress import RunProgress, read_progress, saved_log
from goalmaze.agents.training.sb3_environment import unwrap
from goalmaze.agents.training.signals import stop_signals
from goalmaze.agents.training.start import start_weights
from goalmaze.agents.training.training_state import STATE, RunNumbers, read_state, restore_state
from goalmaze.agents.training.watch import TrainingWatch
from goalmaze.envs.errors import GoalmazeError, StopError
from goalmaze.envs.extensions import extensions_needed, import_flags
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
    "warn_of_differences",
]

TENSORBOARD = "tensorboard"
VERSIONS_OF = ("goalmaze", "gymnasium", "numba", "numpy", "safetensors", "stable-baselines3", "torch")
SAVE_EVERY_SECONDS = 30.0
MAX_NUMBERED = 10_000
"""Largest number in the name of a run folder."""


@dataclasses.dataclass(frozen=True)
class TrainingResult:
    """How a training run ended.

    Attributes:
        folder: the run folder.
        steps: environment steps taken.
        seconds: wall-clock seconds of training.
        interrupted: whether it was stopped before its last step.
        signal_number: the signal that stopped it, where it was interrupted.
        stop_reason: why a watch stopped it; empty where none did.
    """

    folder: Path
    steps: int
    seconds: float
    interrupted: bool
    signal_number: int = int(signal.SIGINT)
    stop_reason: str = ""

    def check_complete(self) -> None:
        """Check that the run has taken all its steps.

        Raises:
            StopError: it was interrupted; the message is the command that continues it.
        """
        if self.interrupted:
            folder = shlex.quote(str(self.folder))
            is_saved = (self.folder / STATE).is_file()
            advice = (
                f"continue with: goalmaze train --resume {folder}{import_flags()}"
                if is_saved
                else f"remove {folder} to start again"
            )
            reason = f" by {self.stop_reason}" if self.stop_reason else ""
            raise StopError(f"{self.folder}: stopped after {self.steps:,} steps{reason}; {advice}", self.signal_number)


class FinishedError(GoalmazeError):
    """The run to resume has already taken all its steps.

    Attributes:
        result: how the run ended.
    """

    def __init__(self, result: TrainingResult) -> None:
        super().__init__(f"{result.folder} is finished after {result.steps:,} steps; nothing to resume")
        self.result = result


def train(
    recipe: Recipe,
    folder: Path,
    *,
    save_every: float = SAVE_EVERY_SECONDS,
    tensorboard: bool = False,
    numbered: bool = False,
    watch: TrainingWatch | None = None,
) -> TrainingResult:
    """Train an agent into a new run folder. Ctrl-C saves and stops; `resume` then continues.

    Args:
        recipe: all settings.
        folder: the run folder, which must not exist.
        save_every: seconds between saves of the training state; 0 saves before every rollout.
        tensorboard: whether to write TensorBoard's files too.
        numbered: whether the first free folder of FOLDER, FOLDER-2, FOLDER-3 … is made where `folder` exists.
        watch: looks at the network between rollouts, and may stop the run.

    Raises:
        GoalmazeError: the folder exists, or the recipe has an unknown name; then nothing is written. Or the disk is
            full, or a number is NaN or infinite; then the last save remains.
    """
    # Everything that can be wrong with the recipe is found before the folder is made.
    chosen = for_device(recipe, find_device(recipe.device).type)
    algorithm, resolved = prepare(chosen)
    if recipe.start:
        load_start(algorithm, recipe.start, recipe.seed)
    _check_tensorboard(tensorboard)
    content = {ID: new_id(), "recipe": dataclasses.asdict(resolved), "environment": environment()}
    folder = make_run_folder(folder, numbered)
    try:
        write_json(folder / RECIPE, content)
    except BaseException:  # KeyboardInterrupt too must leave no empty folder
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if choices := choices_of(recipe, chosen):
        tqdm.write(f"goalmaze: the settings of a GPU where none are given: {choices}", file=sys.stderr)
    with locked(folder / RECIPE):
        return _run(resolved, folder, algorithm, _outputs(folder, tensorboard), save_every, None, watch)


def resume(
    folder: Path,
    *,
    save_every: float = SAVE_EVERY_SECONDS,
    tensorboard: bool = False,
    watch: TrainingWatch | None = None,
    device: str | None = None,
) -> TrainingResult:
    """Continue an interrupted run from its last save.

    On the same machine with the same versions it ends bitwise as it would have without the interruption. Otherwise a
    line on standard error says what differs. Checkpoints are made those of the last save, also where nothing is left to
    be trained.

    Args:
        folder: the run folder.
        save_every: as in `train`.
        tensorboard: as in `train`.
        watch: as in `train`.
        device: the device to go on with; that of the recipe where None. On another one the run goes on in float32 on a
            CPU and in the recipe's precision on a GPU, and not bitwise as it would have.

    Raises:
        FinishedError: the run has taken all its steps.
        GoalmazeError: there is nothing to resume, another process trains the run, or its files are damaged.
    """
    recipe, original = read_recipe(folder)
    _check_tensorboard(tensorboard)
    with locked(folder / RECIPE):
        head, arrays = read_state(folder / STATE)
        _check_same_run(folder, recipe, head["numbers"])
        algorithm, _ = prepare(recipe if device is None else on_device(recipe, device))
        restore_state(algorithm, head, arrays)
        progress = read_progress(head["numbers"]["progress"], folder / STATE)
        finished = algorithm.num_timesteps >= recipe.steps
        log = None if finished else saved_log(folder / LOG, progress)
        # Everything is checked: from here on the folder is written to.
        remove_temporaries(folder)
        _restore_checkpoints(folder, algorithm)
        if log is None:
            raise FinishedError(TrainingResult(folder, algorithm.num_timesteps, progress.seconds, interrupted=False))
        # Rollouts after the last save are taken again, and so logged again.
        write_atomically(folder / LOG, log)
        warn_of_differences(original, devices=(recipe.device, algorithm.device.type))
        return _run(recipe, folder, algorithm, _outputs(folder, tensorboard), save_every, progress, watch)


def _check_same_run(folder: Path, recipe: Recipe, numbers: RunNumbers) -> None:
    """Check that a training state and a recipe file belong to one run.

    Raises:
        GoalmazeError: they do not.
    """
    if recipe_from(numbers["recipe"]) != recipe:
        raise GoalmazeError(f"{folder / RECIPE} is no longer the recipe of the run; undo the change")
    run_id = RunFolder(folder).run_id
    if numbers.get("run", run_id) != run_id:
        raise GoalmazeError(f"{folder / STATE} is the training state of another run; restore the folder or train again")


def _restore_checkpoints(folder: Path, algorithm: BaseAlgorithm) -> None:
    """Make the checkpoints in a run folder those of the restored training state, which is written before them."""
    network, family, steps = network_of(algorithm), unwrap(algorithm.env).mazes.family, algorithm.num_timesteps
    if not is_checkpoint_of(folder / CHECKPOINT, network, family, steps):
        save_checkpoint(folder / CHECKPOINT, network, family, steps)
    for later, path in checkpoint_series(folder).items():
        # Of rollouts after the last save, which are taken again.
        if later > steps:
            path.unlink(missing_ok=True)


def read_recipe(folder: Path, number: int | None = None) -> tuple[Recipe, JsonObject]:
    """Return the recipe of a run folder, and the `environment` that the run was started in.

    Args:
        folder: the run folder.
        number: the agent of a population whose recipe is returned; None for the recipe as the folder holds it.

    Raises:
        GoalmazeError: there is no recipe, or it cannot be read.
    """
    path = folder / RECIPE
    try:
        content = read_json(path)
        recipe = recipe_from(content["recipe"])
        if number is not None:
            recipe = PopulationPlan.of(content).recipe(recipe, number)
        return recipe, content.get("environment", {})
    except OSError as error:
        raise GoalmazeError(f"{folder} is not a run folder: cannot read {path}: {error.strerror}") from None
    except GoalmazeError as error:
        raise GoalmazeError(
            f"recipe {path} does not fit this version of goalmaze: {error}; update goalmaze, or restore the file"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise GoalmazeError(f"recipe {path} is damaged ({error}); restore it or train again") from None


def environment() -> JsonObject:
    """Return what results may depend on beside the recipe: versions of packages, machine, system and threads."""
    return {
        "versions": {"python": platform.python_version()} | {name: installed_version(name) for name in VERSIONS_OF},
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
    }


def prepare(recipe: Recipe) -> tuple[BaseAlgorithm, Recipe]:
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
        curriculum_options=all_options(mazes.curriculum),
        threads=torch.get_num_threads(),
        device=cast(DeviceName, algorithm.device.type),
    )
    return algorithm, resolved


def load_start(algorithm: BaseAlgorithm, start: str, seed: int) -> None:
    """Load the weights of another agent, or of the agent of this seed in a population, into the algorithm's network.

    Raises:
        GoalmazeError: there is no such agent, or its network is another one.
    """
    network = network_of(algorithm)
    network.load_state_dict(start_weights(start, network, seed))
    if isinstance(algorithm, DQN):
        # DQN copied the random weights to its target network when it was made.
        algorithm.q_net_target.load_state_dict(algorithm.q_net.state_dict())


def make_run_folder(folder: Path, numbered: bool) -> Path:
    """Make a new folder and return it: `folder`, or where it exists and may be numbered, the first free one."""
    for number in range(1, MAX_NUMBERED if numbered else 2):
        path = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        try:
            # Makes the folder or fails, in one step: of two processes that begin together, each gets its own.
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise GoalmazeError(f"cannot make {path}: {error.strerror}; choose another --out") from None
        return path
    raise GoalmazeError(f"{folder} already exists; choose another --out or remove it")


def _check_tensorboard(tensorboard: bool) -> None:
    """Check, before a folder is made, that TensorBoard is installed where its files are to be written.

    Raises:
        GoalmazeError: it is not.
    """
    if tensorboard and importlib.util.find_spec("tensorboard") is None:
        raise GoalmazeError("--tensorboard needs TensorBoard; install it with: pip install 'goalmaze[tensorboard]'")


def _outputs(folder: Path, tensorboard: bool) -> list[KVWriter]:
    """Return the outputs of the logger; opening TensorBoard's makes a folder in the run folder."""
    return [TensorBoardOutputFormat(str(folder / TENSORBOARD))] if tensorboard else []


def _run(
    recipe: Recipe,
    folder: Path,
    algorithm: BaseAlgorithm,
    outputs: list[KVWriter],
    save_every: float,
    progress: RunProgress | None,
    watch: TrainingWatch | None,
) -> TrainingResult:
    """Train until all steps are taken or a stop is requested.

    Args:
        recipe: the recipe.
        folder: the run folder.
        algorithm: the algorithm, at the start of the run or restored.
        outputs: outputs of its logger.
        save_every: seconds between saves.
        progress: the progress of a resumed run; None for a new run.
        watch: looks at the network between rollouts, and may stop the run.
    """
    algorithm.set_logger(Logger(None, outputs))
    interrupted = False
    with stop_signals() as stop_request:
        callback = TrainingCallback(recipe, folder, stop_request, save_every, progress, watch)
        try:
            algorithm.learn(recipe.steps - algorithm.num_timesteps, callback, reset_num_timesteps=progress is None)
        except (Stopped, KeyboardInterrupt):
            interrupted = True
        except NotFiniteError as error:
            raise _with_advice(error, algorithm, folder, callback.saved_steps) from None
        finally:
            callback.close()
            algorithm.logger.close()
    return TrainingResult(
        folder,
        callback.saved_steps,
        callback.progress.seconds,
        interrupted,
        stop_request.signal_number,
        "" if watch is None else watch.stop_reason,
    )


def _with_advice(error: NotFiniteError, algorithm: BaseAlgorithm, folder: Path, saved: int) -> NotFiniteError:
    """Return the error with the step, the last good checkpoint and a remedy in its message."""
    return NotFiniteError(
        error.what,
        f" at step {algorithm.num_timesteps:,}, so training stopped; the last good checkpoint is {folder / CHECKPOINT} "
        f"(step {saved:,}); try a smaller learning_rate or gradient_clip",
    )


def warn_of_differences(
    original: JsonObject, threads: int | None = None, devices: tuple[str, str] | None = None
) -> None:
    """Print to standard error how this environment differs from the one that a run was started in.

    Args:
        original: the `environment` that its recipe file holds.
        threads: number of threads that go on with the run; those of this process where None.
        devices: the devices that the run was started on and goes on with, where they may differ.
    """
    now = environment() | ({} if threads is None else {"threads": threads})
    pairs = {name: (original.get(name), now[name]) for name in ("machine", "system", "threads")}
    pairs |= {name: (original.get("versions", {}).get(name), version) for name, version in now["versions"].items()}
    if devices is not None:
        pairs["device"] = devices
    changed = [f"{name} {new} instead of {old}" for name, (old, new) in pairs.items() if old != new]
    if changed:
        tqdm.write(
            f"goalmaze: resumed, but not bitwise as without the interruption: {', '.join(changed)}", file=sys.stderr
        )
