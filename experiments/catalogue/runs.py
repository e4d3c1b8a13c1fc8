"""`goalmaze runs`: the runs and populations of a folder, the steps each has taken, and whether it can be resumed."""

from __future__ import annotations

import csv
import dataclasses
import math
import shlex
import statistics
from collections import Counter
from pathlib import Path
from typing import Literal

from goalmaze.agents.checkpoints import read_identity
from goalmaze.agents.loading import CHECKPOINT, RECIPE, holds_population
from goalmaze.agents.population_files import is_population_file
from goalmaze.agents.training.log import LoggedProgress, latest_progress, read_log
from goalmaze.agents.training.population_plan import PopulationPlan
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import read_recipe
from goalmaze.agents.training.run_lock import is_locked
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import import_flags
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import read_json
from goalmaze.experiments.catalogue.config import RunsConfig
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.run_report import read_population_report, read_report
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.evaluate.agent_label import label_of_report, present_label
from goalmaze.experiments.train.population.pool import AGENTS
from goalmaze.experiments.train.population.seeds import seeds_text

COLUMNS = ("run", "family", "network", "seed", "steps", "of", "solved", "state", "label")
RunState = Literal["finished", "interrupted", "running", "damaged"]


@dataclasses.dataclass(frozen=True)
class RunRow:
    """One run; a population is one row.

    Attributes:
        name: path of its folder below the folder listed.
        family: name of the family; empty where the recipe cannot be read.
        network: name of the network.
        seed: of levels, weights and sampled actions; of a population, that of its first agent.
        steps: environment steps taken, according to the log; of a population, those of all agents together.
        of: environment steps that the recipe asks for; of a population, for all agents together.
        solved: rate of the latest training episodes that were solved; None before any ended. Of a population, the mean
            over the agents that have one.
        state: finished, interrupted, running now, or damaged.
        label: of the agent, by the rule of `goalmaze.experiments.evaluate.agent_label`; None where it was not
            evaluated. Of a population, the number of agents with each label.
        seeds: the seeds of a population, such as "0-63"; None for one agent.
        agents: number of agents.
    """

    name: str
    family: str
    network: str
    seed: int
    steps: int
    of: int
    solved: float | None
    state: RunState
    label: str | None
    seeds: str | None = None
    agents: int = 1


@dataclasses.dataclass(frozen=True)
class Runs(Result):
    """The runs of a folder.

    Attributes:
        folder: that was listed.
        rows: one for each run, ordered by name.
    """

    folder: Path
    rows: tuple[RunRow, ...]

    def json(self) -> JsonObject:
        """Return the rows as plain data."""
        return {"folder": str(self.folder), "runs": [dataclasses.asdict(row) for row in self.rows]}

    def blocks(self) -> list[str | Table]:
        """Return the table, and the command that resumes the first run that can be resumed."""
        if not self.rows:
            return [f"no runs in {self.folder}", "next: goalmaze train"]
        blocks: list[str | Table] = [Table(COLUMNS, [_cells(row) for row in self.rows])]
        folders = [self.folder / row.name for row in self.rows if row.state == "interrupted"]
        resumable = next((folder for folder in folders if _can_be_resumed(folder)), None)
        if resumable is not None:
            imports = import_flags(read_recipe(resumable)[0].imports)
            blocks.append(f"next: goalmaze train --resume {shlex.quote(str(resumable))}{imports}")
        return blocks


def _cells(row: RunRow) -> list[object]:
    solved = formatted(row.solved, ".2f")
    seed = row.seed if row.seeds is None else row.seeds
    return [row.name, row.family, row.network, seed, row.steps, row.of, solved, row.state, row.label or "-"]


def _can_be_resumed(folder: Path) -> bool:
    """Return whether an interrupted run has something to continue from; a population can always start again."""
    return (folder / STATE).is_file() or holds_population(folder)


def run(config: RunsConfig) -> Runs:
    """List the runs in a folder and in its folders.

    Raises:
        GoalmazeError: there is no such folder.
    """
    if not config.folder.is_dir():
        raise GoalmazeError(f"there is no folder {config.folder}; name one that holds runs")
    # Two levels, because the runs of a sweep lie in a folder of their own.
    found = {*config.folder.glob(f"*/{RECIPE}"), *config.folder.glob(f"*/*/{RECIPE}")}
    # The agents of an unfinished population lie below it, and are not runs of their own.
    recipes = sorted(path for path in found if path.parent.parent.name != AGENTS)
    return Runs(config.folder, tuple(_row(recipe.parent, config.folder) for recipe in recipes))


def _row(folder: Path, root: Path) -> RunRow:
    name = str(folder.relative_to(root))
    try:
        recipe, _ = read_recipe(folder)
    except GoalmazeError:
        return RunRow(name, "", "", 0, 0, 0, None, "damaged", None)
    if holds_population(folder):
        return _population_row(folder, name, recipe)
    steps, solved = _progress(folder)
    return RunRow(
        name=name,
        family=recipe.family,
        network=recipe.network,
        seed=recipe.seed,
        steps=steps,
        of=recipe.steps,
        solved=solved,
        state=_state(folder, recipe.steps),
        label=_label(folder, recipe),
    )


def _population_row(folder: Path, name: str, recipe: Recipe) -> RunRow:
    try:
        plan = PopulationPlan.of(read_json(folder / RECIPE))
    except (OSError, ValueError, TypeError):
        return RunRow(name, recipe.family, recipe.network, recipe.seed, 0, 0, None, "damaged", None)
    latest = _latest(folder, len(plan))
    solved = [one.solved for one in latest if not math.isnan(one.solved)]
    return RunRow(
        name=name,
        family=recipe.family,
        network=recipe.network,
        seed=recipe.seed,
        steps=sum(one.steps for one in latest),
        of=recipe.steps * len(plan),
        solved=statistics.fmean(solved) if solved else None,
        state=_population_state(folder),
        label=_population_labels(folder),
        seeds=seeds_text(tuple(dict.fromkeys(plan.seeds))),
        agents=len(plan),
    )


def _latest(folder: Path, agents: int) -> list[LoggedProgress]:
    """Return the progress of every agent of a population: by their own logs while they have some, or by its log."""
    if (folder / AGENTS).is_dir():
        return [latest_progress(folder / AGENTS / str(number)) for number in range(agents)]
    try:
        last = {line["agent"]: LoggedProgress(int(line["steps"]), float(line["solved"])) for line in read_log(folder)}
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return []
    return list(last.values())


def _population_state(folder: Path) -> RunState:
    if is_locked(folder / RECIPE):
        return "running"
    # What training continues from is removed once the population is complete.
    unfinished = any((folder / name).exists() for name in (AGENTS, STATE))
    return "interrupted" if unfinished or not is_population_file(folder / CHECKPOINT) else "finished"


def _population_labels(folder: Path) -> str | None:
    """Return the number of agents with each label, such as "40 mixed, 24 cue-follower"."""
    try:
        report = read_population_report(folder)
        # By the present rule, as for one agent.
        shift = report["distinguishing_shift"]
        labels = Counter(label_of_report(agent, shift).label for agent in report["agents"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        return None
    return ", ".join(f"{number} {label}" for label, number in labels.most_common())


def _state(folder: Path, steps: int) -> RunState:
    # A training holds a lock on its recipe, which the system releases when its process ends for any reason.
    if is_locked(folder / RECIPE):
        return "running"
    try:
        # By the checkpoint and not by the log, which has a line for each rollout, saved or not.
        return "finished" if read_identity(folder / CHECKPOINT).steps >= steps else "interrupted"
    except GoalmazeError:
        # Lost or damaged: resuming writes it again from the training state.
        return "interrupted"


def _progress(folder: Path) -> tuple[int, float | None]:
    """Return steps and solved rate on the last whole line of a run's log; 0 and None where there is none."""
    try:
        last = read_log(folder)[-1]
        steps, solved = int(last["steps"]), float(last["solved"])
    except (OSError, ValueError, KeyError, IndexError, TypeError, csv.Error):
        return 0, None
    return steps, None if math.isnan(solved) else solved


def _label(folder: Path, recipe: Recipe) -> str | None:
    """Return the label of a run by the present rule; None where it was not evaluated."""
    try:
        report = read_report(folder)
    except (OSError, ValueError):
        return None
    return present_label(report, recipe)
