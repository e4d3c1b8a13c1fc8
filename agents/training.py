"""From a recipe to a run folder: `recipe.json`, `log.csv`, `checkpoint.safetensors`."""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import platform
import time
from collections import deque
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from tqdm import tqdm

from goalmaze.agents.allocator import keep_large_blocks
from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.files import write_json
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.ppo import make_learner, network_of
from goalmaze.agents.recipe import Recipe
from goalmaze.agents.sb3 import MazeVecEnv
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.families.base import Family

RECIPE, LOG = "recipe.json", "log.csv"
VERSIONS_OF = ("goalmaze", "gymnasium", "numba", "numpy", "safetensors", "stable-baselines3", "torch")
RECENT_EPISODES = 1000
LOG_COLUMNS = (
    "steps",
    "seconds",
    "episodes",
    "levels",
    "solved",
    "length",
    "return",
    "cue_return",
    "entropy",
    "policy_loss",
    "value_loss",
    "kl",
)
CHECKPOINT_EVERY_SECONDS = 30.0


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


def train(recipe: Recipe, folder: Path) -> TrainingResult:
    """Train an agent into a new run folder; Ctrl-C ends it early with a checkpoint of what was learned.

    Raises:
        GoalmazeError: the folder exists, or the recipe names something unknown; nothing is written then.
    """
    family = make_family(recipe.family, recipe.parameters)
    keep_large_blocks()
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    mazes = MazeVecEnv(family, recipe.envs, recipe.seed, recipe.shaping)
    learner = make_learner(recipe, mazes)
    network = network_of(learner)
    resolved = dataclasses.replace(
        recipe,
        parameters=family.parameters,
        network_options=dataclasses.asdict(network.options),
        threads=torch.get_num_threads(),
    )
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise GoalmazeError(f"{folder} already exists; choose another --out or remove it") from None
    except OSError as error:
        raise GoalmazeError(f"cannot make {folder}: {error.strerror}; choose another --out") from None
    write_json(folder / RECIPE, {"recipe": dataclasses.asdict(resolved), "environment": environment()})
    diary = _Diary(recipe, family, folder)
    learner.set_logger(Logger(None, []))
    interrupted = False
    try:
        learner.learn(recipe.steps, callback=diary)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        diary.close()
        save_checkpoint(folder / CHECKPOINT, network, family, learner.num_timesteps)
    return TrainingResult(folder, learner.num_timesteps, diary.seconds, interrupted)


def environment() -> dict[str, Any]:
    """Return the versions and the machine a number was made with."""
    return {
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in VERSIONS_OF},
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": torch.get_num_threads(),
    }


class _Diary(BaseCallback):
    """Watches learning: the progress bar, one line of CSV per rollout, and a checkpoint now and then."""

    def __init__(self, recipe: Recipe, family: Family, folder: Path) -> None:
        super().__init__()
        self.recipe, self.family, self.folder = recipe, family, folder
        self.seconds = 0.0
        self._begun = self._saved = time.perf_counter()
        self._episodes = 0
        self._recent: deque[tuple[float, float, float, float]] = deque(maxlen=RECENT_EPISODES)
        self._file = (folder / LOG).open("w", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(LOG_COLUMNS)
        self._bar = tqdm(total=recipe.steps, unit="step", unit_scale=True, desc="training", disable=None)

    def _on_step(self) -> bool:
        for row in np.flatnonzero(self.locals["dones"]):
            info = self.locals["infos"][row]
            episode = info["episode"]
            solved = float(not info["TimeLimit.truncated"] and episode["r"] > 0)
            self._recent.append((solved, episode["l"], episode["r"], episode["c"]))
            self._episodes += 1
        return True

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            self._write_line()

    def _on_training_end(self) -> None:
        self._write_line()

    def _write_line(self) -> None:
        now = time.perf_counter()
        self.seconds = now - self._begun
        recent = np.mean(self._recent, axis=0) if self._recent else np.full(4, np.nan)
        learned = self.logger.name_to_value
        losses = [
            learned.get(f"train/{key}", np.nan)
            for key in ("entropy_loss", "policy_gradient_loss", "value_loss", "approx_kl")
        ]
        losses[0] = -losses[0]
        numbers = [f"{number:.5g}" for number in (*recent, *losses)]
        mazes = cast(MazeVecEnv, self.training_env).mazes
        self._csv.writerow([self.num_timesteps, f"{self.seconds:.2f}", self._episodes, mazes.levels_begun, *numbers])
        self._file.flush()
        self._bar.set_postfix(solved=f"{recent[0]:.2f}", refresh=False)
        self._bar.update(min(self.num_timesteps, self.recipe.steps) - self._bar.n)
        if now - self._saved > CHECKPOINT_EVERY_SECONDS:
            save_checkpoint(self.folder / CHECKPOINT, network_of(self.model), self.family, self.num_timesteps)
            self._saved = now

    def close(self) -> None:
        self._bar.close()
        self._file.close()
