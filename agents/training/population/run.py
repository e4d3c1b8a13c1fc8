"""A population in its run folder, trained as one program, and continued from its last save.

While it is trained the folder holds log, checkpoints and training state of all agents; `goalmaze.agents.training.run`
does the same for one agent.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import time
from pathlib import Path

import msgspec
from tqdm import tqdm

from goalmaze.agents.files import write_atomically
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.population_files import save_population
from goalmaze.agents.training.checkpoint_schedule import CheckpointSchedule, checkpoint_series
from goalmaze.agents.training.log import LOG, POPULATION_COLUMNS, log_line
from goalmaze.agents.training.population.callback import PopulationCallback
from goalmaze.agents.training.population.learner import LearnerNumbers, PopulationLearner
from goalmaze.agents.training.population.program import learn, make_learner
from goalmaze.agents.training.population_plan import PopulationPlan
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.run import read_recipe, warn_of_differences
from goalmaze.agents.training.run_folder import RunFolder
from goalmaze.agents.training.run_progress import RunLog, RunProgress, keep_scheduled, read_progress, saved_log
from goalmaze.agents.training.signals import StopRequest, stop_signals
from goalmaze.agents.training.state_file import read_state_file, remedy, write_state_file
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import is_file

FORMAT = 1
"""Version of the training state of a population."""

METADATA_KEY = "goalmaze_population_state"


class _StateHead(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON document of a population's training state.

    Attributes:
        format: version of the format.
        learner: the numbers of the learner.
        progress: fields of the `RunProgress`.
        recipe: fields of the recipe.
        plan: the plan of the population.
        run: the id of the run.
    """

    format: int
    learner: LearnerNumbers
    progress: JsonObject
    recipe: JsonObject
    plan: JsonObject
    run: str


@dataclasses.dataclass(frozen=True)
class PopulationResult:
    """How the training of a population ended.

    Attributes:
        steps: environment steps of each agent at the last save.
        seconds: wall-clock seconds of training.
        interrupted: whether it was stopped before its last step.
        signal_number: the signal that stopped it, where it was interrupted.
    """

    steps: int
    seconds: float
    interrupted: bool
    signal_number: int


class RunCallback(PopulationCallback):
    """Writes log, checkpoints and training state of a population, and stops training on request.

    Args:
        folder: the run folder.
        plan: seed and parameters of every agent.
        stop_request: whether a stop was requested.
        save_every: seconds between saves; 0 saves before every rollout.
        progress: the progress of a resumed run at its last save; None for a new run.

    Attributes:
        progress: the progress of the run.
        saved_steps: step count of the last save.
    """

    def __init__(
        self,
        folder: Path,
        plan: PopulationPlan,
        stop_request: StopRequest,
        save_every: float,
        progress: RunProgress | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.plan, self.stop_request, self.save_every = folder, plan, stop_request, save_every
        self.progress, self.saved_steps, self._is_new = progress or RunProgress(), 0, progress is None
        self._run_folder = RunFolder(folder)
        self._log = RunLog(self._run_folder, self.progress)
        self._saved_at = time.perf_counter()
        # As if training had gone on without the interruption, so that seconds add up over the parts of a run.
        self._started_at = self._saved_at - self.progress.seconds

    def on_training_start(self, learner: PopulationLearner) -> None:
        """Say what is done, and begin the log or go on with it."""
        device = "the GPU" if learner.device.type == "cuda" else "the CPU"
        tqdm.write(f"goalmaze: {len(self.plan)} agents, trained together as one program on {device}", file=sys.stderr)
        super().on_training_start(learner)
        self.saved_steps = learner.steps
        if self._is_new:
            self._log.begin(POPULATION_COLUMNS)
        else:
            self._log.go_on()

    def on_rollout_start(self, learner: PopulationLearner) -> bool:
        """Log the last rollout, save if it is time; return False if a stop was requested."""
        self._write_lines(learner)
        is_time = time.perf_counter() - self._saved_at >= self.save_every
        if self._is_new or is_time or self.stop_request.stop:
            self.save(learner)
        self._keep_checkpoint(learner)
        return not self.stop_request.stop

    def on_training_end(self, learner: PopulationLearner) -> None:
        """Log the last rollout, and save the end."""
        self._write_lines(learner)
        self._keep_checkpoint(learner)
        self.save(learner)

    def _write_lines(self, learner: PopulationLearner) -> None:
        """Write a line for every agent that has taken a rollout since the last lines."""
        if learner.steps <= self.progress.line:
            return
        self.progress.seconds = time.perf_counter() - self._started_at
        # Agents that are trained together share the time.
        seconds = f"{self.progress.seconds / len(self.plan):.2f}"
        stopped = {one.agent for one in learner.stopped}
        lines = []
        for agent, (episodes, levels, *numbers) in enumerate(learner.log_rows()):
            if agent not in stopped:
                first = (agent, self.plan.seeds[agent], learner.steps, seconds, episodes, levels)
                lines.append(log_line((*first, *(f"{number:.5g}" for number in numbers))))
        self._log.append(b"".join(lines))
        self.progress.line = learner.steps

    def _keep_checkpoint(self, learner: PopulationLearner) -> None:
        schedule, save = CheckpointSchedule.of(learner.recipe), functools.partial(self.save_checkpoint, learner)
        keep_scheduled(schedule, self._run_folder, self.progress, learner.steps, save)

    def save(self, learner: PopulationLearner) -> None:
        """Save training state and checkpoint, each atomically; the state is the save."""
        self.progress.seconds = time.perf_counter() - self._started_at
        arrays, numbers = learner.snapshot()
        head = _StateHead(
            FORMAT,
            numbers,
            dataclasses.asdict(self.progress),
            dataclasses.asdict(learner.recipe),
            self.plan.json(),
            self._run_folder.run_id,
        )
        self._run_folder.check()
        write_state_file(self.folder / STATE, METADATA_KEY, msgspec.to_builtins(head), arrays)
        self.save_checkpoint(learner, self.folder / CHECKPOINT)
        self.saved_steps, self._is_new = learner.steps, False
        self._saved_at = time.perf_counter()

    def save_checkpoint(self, learner: PopulationLearner, path: Path) -> None:
        """Write the stacked weights to a file."""
        reasons = {one.agent: f"{one.what} is not finite at step {one.step:,}" for one in learner.stopped}
        template, families = learner.network.template, learner.families
        save_population(
            path, learner.tensors(), template, families, self.plan.seeds, learner.agent_steps(), stopped=reasons
        )


def run_population(folder: Path, recipe: Recipe, plan: PopulationPlan, save_every: float) -> PopulationResult:
    """Train the population of a run folder as one program, from its last save where there is one. Ctrl-C saves.

    Where packages have other versions than when the run began, a line on standard error says so.

    Args:
        folder: the run folder, with its recipe file.
        recipe: the recipe that the agents share.
        plan: seed and parameters of every agent.
        save_every: seconds between saves; 0 saves before every rollout.

    Raises:
        GoalmazeError: the recipe is wrong, memory is too small, or the training state is damaged or of another run.
    """
    learner = make_learner(recipe, plan.seeds, parameters=plan.parameters)
    progress = _restore(folder, learner, plan) if is_file(folder / STATE) else None
    with stop_signals() as stop_request:
        callback = RunCallback(folder, plan, stop_request, save_every, progress)
        if progress is not None:
            _restore_checkpoints(callback, learner)
            warn_of_differences(read_recipe(folder)[1], recipe.threads)
        is_stopped = False
        try:
            learn(learner, callback)
        except KeyboardInterrupt:
            is_stopped = True
    interrupted = is_stopped or not learner.is_finished
    return PopulationResult(callback.saved_steps, callback.progress.seconds, interrupted, stop_request.signal_number)


def remove_state(folder: Path) -> None:
    """Remove the training state of a population, which is then finished.

    Raises:
        GoalmazeError: it cannot be removed.
    """
    try:
        (folder / STATE).unlink(missing_ok=True)
    except OSError as error:
        raise GoalmazeError(f"cannot remove {folder / STATE}: {error.strerror}") from None


def _restore(folder: Path, learner: PopulationLearner, plan: PopulationPlan) -> RunProgress:
    """Restore the last save of a run, cut its log to it, and return its progress.

    Raises:
        GoalmazeError: the state or the log is damaged, or of another run.
    """
    path = folder / STATE
    content, arrays = read_state_file(path, METADATA_KEY)
    try:
        head = msgspec.convert(content, _StateHead)
        is_same = recipe_from(head.recipe) == learner.recipe and head.plan == plan.json()
    except (msgspec.ValidationError, GoalmazeError) as error:
        raise GoalmazeError(f"training state {path} is no state of a population ({error}); {remedy(path)}") from None
    if head.format != FORMAT:
        raise GoalmazeError(f"training state {path} is of another version of goalmaze; resume it there")
    if not is_same or head.run != RunFolder(folder).run_id:
        raise GoalmazeError(f"{path} is the training state of another run; restore the folder or train again")
    progress = read_progress(head.progress, path)
    log = saved_log(folder / LOG, progress)
    learner.restore(arrays, head.learner)
    write_atomically(folder / LOG, log)
    return progress


def _restore_checkpoints(callback: RunCallback, learner: PopulationLearner) -> None:
    """Make the checkpoints of a run folder those of the restored training state, which is written before them."""
    callback.save_checkpoint(learner, callback.folder / CHECKPOINT)
    for later, path in checkpoint_series(callback.folder).items():
        # Of rollouts after the last save, which are taken again.
        if later > learner.steps:
            path.unlink(missing_ok=True)
