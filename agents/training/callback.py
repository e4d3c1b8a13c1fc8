"""The callback of training: progress bar, log, checkpoints, and the training state from which a run resumes."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from pathlib import Path

from stable_baselines3.common.callbacks import BaseCallback
from tqdm import tqdm

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.training.algorithms import network_of
from goalmaze.agents.training.checkpoint_schedule import CheckpointSchedule
from goalmaze.agents.training.finite import check_finite
from goalmaze.agents.training.log import LOG_COLUMNS, log_line
from goalmaze.agents.training.ppo import TensorPPO
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run_folder import RunFolder
from goalmaze.agents.training.run_progress import RunLog, RunProgress, keep_scheduled
from goalmaze.agents.training.sb3_environment import unwrap
from goalmaze.agents.training.signals import StopRequest
from goalmaze.agents.training.training_state import STATE, RunNumbers, save_state
from goalmaze.agents.training.watch import TrainingWatch

LOSS_NAMES = (
    ("entropy_loss",),
    ("policy_gradient_loss", "policy_loss"),
    ("value_loss", "loss"),
    ("approx_kl",),
)
"""The names under which stable-baselines3's algorithms log the last four columns of our log."""


class Stopped(Exception):  # noqa: N818  not an error
    """Raised between two rollouts to stop training, because a stop was requested."""


class TrainingCallback(BaseCallback):
    """Writes log, checkpoints and training state, and stops training on request.

    Args:
        recipe: the recipe of the run.
        folder: the run folder.
        stop_request: whether a stop was requested.
        save_every: seconds between saves; 0 saves before every rollout.
        progress: the progress of a resumed run at its last save; None for a new run.
        watch: looks at the network between rollouts, and may stop the run; None for nothing.

    Attributes:
        progress: the progress of the run.
        saved_steps: step count of the last save.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        stop_request: StopRequest,
        save_every: float,
        progress: RunProgress | None = None,
        watch: TrainingWatch | None = None,
    ) -> None:
        super().__init__()
        self._watch = watch
        self._shown: dict[str, str] = {}
        self.recipe, self.stop_request, self.save_every = recipe, stop_request, save_every
        self._schedule = CheckpointSchedule.of(recipe)
        self.folder, self._run_folder = folder, RunFolder(folder)
        self.progress, self.saved_steps = progress or RunProgress(), 0
        self._log = RunLog(self._run_folder, self.progress)
        self._saved_at = time.perf_counter()
        # As if training had gone on without the interruption, so that seconds add up over the parts of a run.
        self._started_at = self._saved_at - self.progress.seconds
        self._is_new = progress is None
        self._bar: tqdm | None = None

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        steps = self.recipe.steps
        self._bar = tqdm(
            total=steps, initial=self.num_timesteps, unit="step", unit_scale=True, desc="training", disable=None
        )
        self.saved_steps = self.num_timesteps
        if self._is_new:
            # After the columns of every log, so that readers of these find them in their places.
            self._log.begin((*LOG_COLUMNS, *unwrap(self.training_env).curriculum.figures(), *self._term_figures()))
        else:
            # `resume` has cut the log to its length at the last save and checked it.
            self._log.go_on()

    def _on_rollout_start(self) -> None:
        """Log the last rollout, save if it is time, and stop on request.

        All this happens between rollouts, where buffers are empty and the saved state is therefore complete.
        """
        self._check_weights()
        if self.num_timesteps - self.progress.line >= self.recipe.envs * self.recipe.rollout_steps:
            self._write_line()
        self._look()
        is_time = time.perf_counter() - self._saved_at >= self.save_every
        if self._is_new or is_time or self.stop_request.stop:
            self.save()
        self._keep_checkpoint()
        if self.stop_request.stop:
            raise Stopped

    def _on_training_end(self) -> None:
        self._check_weights()
        if self.num_timesteps > self.progress.line:
            self._write_line()
        self._keep_checkpoint()
        self.save()

    def _look(self) -> None:
        """Let the watch look at the network if it is due; a run that it stops is saved first."""
        if self._watch is not None and self._watch.is_due(self.num_timesteps):
            self._shown |= self._watch.look(network_of(self.model), self.num_timesteps)
            self.stop_request.stop |= bool(self._watch.stop_reason)

    def _check_weights(self) -> None:
        """Raise `NotFiniteError` if a weight is NaN or infinite, before a good checkpoint is overwritten."""
        check_finite("a weight", *network_of(self.model).parameters())

    def _write_line(self) -> None:
        self.progress.seconds = time.perf_counter() - self._started_at
        mazes = unwrap(self.training_env)
        recent, logged = mazes.record.means()[0], self.logger.name_to_value
        losses = [_first_logged(logged, names) for names in LOSS_NAMES]
        losses[0] = -losses[0]  # the entropy itself, not its loss
        numbers = [f"{number:.5g}" for number in (*recent, *losses)]
        counts = (mazes.record.counts[0], mazes.mazes.levels_begun[0])
        figures = (*mazes.curriculum.figures().values(), *self._term_figures().values())
        line = log_line((self.num_timesteps, f"{self.progress.seconds:.2f}", *counts, *numbers, *figures))
        self._log.append(line)
        self.progress.line = self.num_timesteps
        self.logger.record("rollout/solved", recent[0])
        if self._bar is not None:
            # Until every environment could have met its time limit, hardly any but solved episodes have ended.
            if self.num_timesteps >= self.recipe.envs * mazes.mazes.family.time_limit:
                self._shown["solved"] = f"{recent[0]:.2f}"
            self._bar.set_postfix(self._shown, refresh=False)
            # The last rollout may go beyond the recipe's steps, the bar may not.
            self._bar.update(min(self.num_timesteps, self.recipe.steps) - self._bar.n)

    def _term_figures(self) -> dict[str, str]:
        """Return the columns that penalties add to the log."""
        term = self.model.term if isinstance(self.model, TensorPPO) else None
        return {} if term is None else {name: f"{figure:.5g}" for name, figure in term.figures().items()}

    def _keep_checkpoint(self) -> None:
        keep_scheduled(self._schedule, self._run_folder, self.progress, self.num_timesteps, self._save_checkpoint)

    def save(self) -> None:
        """Save training state and checkpoint, each atomically.

        The state is the save: it holds the weights too. `resume` writes the checkpoint again where the process died
        between the two.
        """
        self.progress.seconds = time.perf_counter() - self._started_at
        numbers: RunNumbers = {
            "progress": dataclasses.asdict(self.progress),
            "recipe": dataclasses.asdict(self.recipe),
            "run": self._run_folder.run_id,
        }
        self._run_folder.check()
        save_state(self.folder / STATE, self.model, numbers)
        self._save_checkpoint(self.folder / CHECKPOINT)
        self.saved_steps, self._is_new = self.num_timesteps, False
        self._saved_at = time.perf_counter()

    def _save_checkpoint(self, path: Path) -> None:
        family = unwrap(self.training_env).mazes.family
        save_checkpoint(path, network_of(self.model), family, self.num_timesteps)

    def close(self) -> None:
        """Close the progress bar."""
        if self._bar is not None:
            self._bar.close()


def _first_logged(logged: Mapping[str, float], names: tuple[str, ...]) -> float:
    """Return the value that is logged under the first of the names that has one; NaN if none has."""
    return next((float(logged[f"train/{name}"]) for name in names if f"train/{name}" in logged), math.nan)
