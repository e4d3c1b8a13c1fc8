"""What watches learning between two rollouts: the progress bar, the log, the checkpoints, the state to resume from."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.files import append, write_atomically
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.training.algorithms import network_of
from goalmaze.agents.training.checkpoint_schedule import due, series_checkpoint_path
from goalmaze.agents.training.finite import check_finite
from goalmaze.agents.training.log import LOG, LOG_COLUMNS, log_line
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.sb3_environment import mazes_of
from goalmaze.agents.training.signals import StopRequest
from goalmaze.agents.training.training_state import STATE, save_state
from goalmaze.envs.errors import GoalmazeError

LOSSES = (
    ("entropy_loss",),
    ("policy_gradient_loss", "policy_loss"),
    ("value_loss", "loss"),
    ("approx_kl",),
)
"""What the algorithms of stable-baselines3 call the last four columns."""


class Stopped(Exception):  # noqa: N818  not an error
    """Training ends between two rollouts because someone wished so."""


@dataclasses.dataclass
class RunProgress:
    """Where a run stands, as it is saved with the state.

    Attributes:
        seconds: of learning so far.
        line: step count at the last line of the log.
        kept: step count when a checkpoint of the series was last due or not.
        log_bytes: length of the log.
    """

    seconds: float = 0.0
    line: int = 0
    kept: int = -1
    log_bytes: int = 0


class TrainingCallback(BaseCallback):
    """Watches learning.

    Args:
        recipe: of the run.
        folder: of the run.
        stop_request: whether to stop.
        save_every: seconds between saves; 0 saves before every rollout.
        progress: where the run stands, if it is resumed.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        stop_request: StopRequest,
        save_every: float,
        progress: RunProgress | None = None,
    ) -> None:
        super().__init__()
        self.recipe, self.folder, self.stop_request, self.save_every = recipe, folder, stop_request, save_every
        self.progress, self.saved_steps = progress or RunProgress(), 0
        self._saved = time.perf_counter()
        self._begun = self._saved - self.progress.seconds
        self._fresh = progress is None
        self._bar: Any = None

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        steps = self.recipe.steps
        self._bar = tqdm(
            total=steps, initial=self.num_timesteps, unit="step", unit_scale=True, desc="training", disable=None
        )
        self.saved_steps = self.num_timesteps
        if self._fresh:
            head = log_line(LOG_COLUMNS)
            write_atomically(self.folder / LOG, head)
            self.progress.log_bytes = len(head)

    def _on_rollout_start(self) -> None:
        """Write a line for a rollout's worth of steps, save now and then, and stop if asked to: all is at rest here."""
        self._check()
        if self.num_timesteps - self.progress.line >= self.recipe.envs * self.recipe.rollout_steps:
            self._write_line()
        late = time.perf_counter() - self._saved >= self.save_every
        if self._fresh or late or self.stop_request.stop:
            self.save()
        self._keep()
        if self.stop_request.stop:
            raise Stopped

    def _on_training_end(self) -> None:
        self._check()
        if self.num_timesteps > self.progress.line:
            self._write_line()
        self._keep()
        self.save()

    def _check(self) -> None:
        """Stop before anything is overwritten if learning left numbers that are not finite."""
        check_finite("a weight", *network_of(self.model).parameters())

    def _write_line(self) -> None:
        self.progress.seconds = time.perf_counter() - self._begun
        mazes = mazes_of(self.training_env)
        recent, learned = mazes.record.means(), self.logger.name_to_value
        losses = [_first(learned, names) for names in LOSSES]
        losses[0] = -losses[0]
        numbers = [f"{number:.5g}" for number in (*recent, *losses)]
        counts = (mazes.record.count, mazes.mazes.levels_begun)
        line = log_line((self.num_timesteps, f"{self.progress.seconds:.2f}", *counts, *numbers))
        append(self.folder / LOG, line)
        self.progress.log_bytes += len(line)
        self.progress.line = self.num_timesteps
        self.logger.record("rollout/solved", recent[0])
        self._bar.set_postfix(solved=f"{recent[0]:.2f}", refresh=False)
        self._bar.update(min(self.num_timesteps, self.recipe.steps) - self._bar.n)

    def _keep(self) -> None:
        """Keep a checkpoint for later study where one is due."""
        if due(max(self.progress.kept, 0), self.num_timesteps) and self.num_timesteps != self.progress.kept:
            path = series_checkpoint_path(self.folder, self.num_timesteps)
            try:
                path.parent.mkdir(exist_ok=True)
            except OSError as error:
                raise GoalmazeError(f"cannot make {path.parent}: {error.strerror}") from None
            self._checkpoint(path)
        self.progress.kept = self.num_timesteps

    def save(self) -> None:
        """Save state and checkpoint, each whole or not at all."""
        self.progress.seconds = time.perf_counter() - self._begun
        numbers = {"progress": dataclasses.asdict(self.progress), "recipe": dataclasses.asdict(self.recipe)}
        save_state(self.folder / STATE, self.model, numbers)
        self._checkpoint(self.folder / CHECKPOINT)
        self.saved_steps, self._fresh = self.num_timesteps, False
        self._saved = time.perf_counter()

    def _checkpoint(self, path: Path) -> None:
        mazes = mazes_of(self.training_env).mazes
        save_checkpoint(path, network_of(self.model), mazes.family, self.num_timesteps)

    def close(self) -> None:
        """Put the progress bar away."""
        if self._bar is not None:
            self._bar.close()


def _first(learned: dict[str, Any], names: tuple[str, ...]) -> float:
    return next((float(learned[f"train/{name}"]) for name in names if f"train/{name}" in learned), float(np.nan))
