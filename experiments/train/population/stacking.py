"""The files of a finished population, made from the run folders of its agents."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from goalmaze.agents.checkpoints import load_checkpoint
from goalmaze.agents.files import remove_temporaries, temporary_beside, write_atomically
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.population_files import save_population, stack_weights
from goalmaze.agents.training.checkpoint_schedule import CHECKPOINTS, checkpoint_series, scheduled_checkpoint_path
from goalmaze.agents.training.log import LOG, POPULATION_COLUMNS, read_log
from goalmaze.agents.training.population_plan import PopulationPlan
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.jobs.job import read_diverged
from goalmaze.experiments.train.population.pool import AGENTS


def stack_agents(folder: Path, plan: PopulationPlan) -> list[JsonObject]:
    """Write log and checkpoints of a population from the run folders of its agents, and return the agents' reports.

    Writing them again gives the same bytes, so a process that was killed in between leaves nothing to repair.

    Args:
        folder: the run folder of the population.
        plan: the seed of every agent.

    Raises:
        GoalmazeError: a run folder of an agent is not finished, or a file cannot be written.
    """
    runs = [folder / AGENTS / str(number) for number in range(len(plan))]
    reports = [finished_report(run) for run in runs]
    known = [report for report in reports if report is not None]
    if len(known) < len(runs):
        raise GoalmazeError(
            f"agent {reports.index(None)} of {folder} is not finished; goalmaze train --resume {folder}"
        )
    stopped = {number: reason for number, run in enumerate(runs) if (reason := read_diverged(run))}
    series = [checkpoint_series(run) for run in runs]
    write_atomically(folder / LOG, _log(runs, plan))
    try:
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
    except OSError as error:
        raise GoalmazeError(f"cannot make {folder / CHECKPOINTS}: {error.strerror}") from None
    for steps in sorted({steps for one in series for steps in one}):
        # Of an agent that stopped early, its last checkpoint stands for all later ones.
        paths = [one[max(count for count in one if count <= steps)] for one in series]
        _stack(scheduled_checkpoint_path(folder, steps), paths, plan, stopped)
    _stack(folder / CHECKPOINT, [run / CHECKPOINT for run in runs], plan, stopped)
    return known


def _stack(target: Path, paths: Sequence[Path], plan: PopulationPlan, stopped: dict[int, str]) -> None:
    loaded = [load_checkpoint(path) for path in paths]
    networks, families, headers = zip(*loaded, strict=True)
    steps = [header.steps for header in headers]
    # A checkpoint from before an agent stopped is like any other.
    reasons = {number: reason for number, reason in stopped.items() if steps[number] < max(steps)}
    save_population(target, stack_weights(networks), networks[0], families, plan.seeds, steps, stopped=reasons)


def _log(runs: Sequence[Path], plan: PopulationPlan) -> bytes:
    """Return the lines of all logs, each with number and seed of its agent before it."""
    rows: list[dict[str, str]] = []
    for number, run in enumerate(runs):
        try:
            lines = read_log(run)
        except (OSError, ValueError, csv.Error) as error:
            raise GoalmazeError(f"the log of agent {number} cannot be read ({error}); restore {run / LOG}") from None
        rows += ({"agent": str(number), "seed": str(plan.seeds[number])} | line for line in lines)
    text = io.StringIO(newline="")
    # A curriculum adds columns to those of every log.
    writer = csv.DictWriter(text, list(rows[0]) if rows else POPULATION_COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def remove_agents(folder: Path) -> None:
    """Remove the run folders of the agents.

    They vanish at once, and that is the moment at which a population is finished.
    """
    agents = folder / AGENTS
    if agents.exists():
        aside = temporary_beside(agents)
        try:
            os.replace(agents, aside)  # noqa: PTH105
        except OSError as error:
            raise GoalmazeError(f"cannot remove {agents}: {error.strerror}") from None
        shutil.rmtree(aside, ignore_errors=True)
    remove_temporaries(folder, below=False)
