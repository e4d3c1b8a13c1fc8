"""Training a population into one run folder, and resuming it."""

from __future__ import annotations

import dataclasses
import shlex
import shutil
import sys
from pathlib import Path

from tqdm import tqdm

from goalmaze.agents.files import remove_temporaries, write_json
from goalmaze.agents.loading import CHECKPOINT, RECIPE
from goalmaze.agents.population_files import read_population
from goalmaze.agents.training.device_recipe import on_device
from goalmaze.agents.training.log import read_log
from goalmaze.agents.training.population.program import check_program
from goalmaze.agents.training.population.run import remove_state, run_population
from goalmaze.agents.training.population_plan import KEY, PopulationPlan
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.run import (
    SAVE_EVERY_SECONDS,
    environment,
    make_run_folder,
    read_recipe,
    warn_of_differences,
)
from goalmaze.agents.training.run_folder import ID, new_id
from goalmaze.agents.training.run_lock import locked
from goalmaze.agents.training.training_state import STATE
from goalmaze.envs.errors import GoalmazeError, StopError
from goalmaze.envs.extensions import extensions_needed, import_flags
from goalmaze.envs.families import make_family
from goalmaze.envs.text_files import is_file, read_json
from goalmaze.experiments.common.run_report import read_population_report
from goalmaze.experiments.train.population.plan import PlannedPopulation
from goalmaze.experiments.train.population.pool import AGENTS, check_memory, train_agents
from goalmaze.experiments.train.population.report import PopulationReport, evaluated_report, gathered_report
from goalmaze.experiments.train.population.stacking import remove_agents, stack_agents


@dataclasses.dataclass(frozen=True, kw_only=True)
class PopulationOptions:
    """How a population is trained; none of it changes a result.

    Attributes:
        save_every: seconds between saves from which an interrupted training continues.
        workers: number of processes; 0 for one a core.
        cluster: address of a Dask scheduler; empty for processes of this machine.
    """

    save_every: float = SAVE_EVERY_SECONDS
    workers: int = 0
    cluster: str = ""


def train_population(
    planned: PlannedPopulation, folder: Path, options: PopulationOptions, *, numbered: bool = False
) -> PopulationReport:
    """Train a population into a new run folder and evaluate its agents.

    Args:
        planned: the population.
        folder: the run folder, which must not exist.
        options: how it is trained.
        numbered: whether the first free folder of FOLDER, FOLDER-2, FOLDER-3 … is made where `folder` exists.

    Raises:
        GoalmazeError: the folder exists, memory is too small, or an agent cannot be trained.
        StopError: a person or the system stopped the training; it is saved.
    """
    recipe, plan = planned
    if is_one_program(recipe, options):
        check_program(recipe, plan.parameters)
    else:
        check_memory(recipe, len(plan), options.workers)
    content = {
        ID: new_id(),
        "recipe": dataclasses.asdict(recipe),
        KEY: plan.json(),
        "environment": environment() | {"threads": recipe.threads},
    }
    folder = make_run_folder(folder, numbered)
    try:
        write_json(folder / RECIPE, content)
    except BaseException:  # KeyboardInterrupt too must leave no empty folder
        shutil.rmtree(folder, ignore_errors=True)
        raise
    with locked(folder / RECIPE):
        return _train(folder, planned, options)


def resume_population(folder: Path, options: PopulationOptions, device: str | None = None) -> PopulationReport:
    """Continue an interrupted population; on the same machine it ends bitwise as without the interruption.

    Args:
        folder: the run folder.
        options: how it is trained.
        device: the device to go on with; that of the recipe where None.

    Raises:
        GoalmazeError: it is finished, another process trains it, or its files are damaged.
        StopError: as in `train_population`.
    """
    planned = _read_plan(folder)
    if device is not None:
        planned = planned._replace(recipe=on_device(planned.recipe, device))
    with locked(folder / RECIPE):
        remove_temporaries(folder, below=False)
        if any((folder / name).exists() for name in (AGENTS, STATE)) or not is_file(folder / CHECKPOINT):
            return _train(folder, planned, options)
        header = read_population(folder / CHECKPOINT).header
        try:
            read_population_report(folder)
        except (OSError, ValueError):
            # Its report is lost or damaged.
            return evaluated_report(folder, _logged_seconds(folder))
        raise GoalmazeError(
            f"{folder} is finished: {len(header.agents)} agents of {header.steps:,} steps; nothing to resume"
        )


def _read_plan(folder: Path) -> PlannedPopulation:
    """Return the recipe and the plan of a population's run folder.

    Raises:
        GoalmazeError: they cannot be read.
    """
    path = folder / RECIPE
    try:
        content = read_json(path)
        return PlannedPopulation(recipe_from(content["recipe"]), PopulationPlan.of(content))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GoalmazeError(f"recipe {path} cannot be read ({error}); restore it or train again") from None


def is_one_program(recipe: Recipe, options: PopulationOptions) -> bool:
    """Return whether agents are trained as one program: on a GPU, where no processes are asked for.

    A CPU gains nothing by it.
    """
    return recipe.device == "cuda" and recipe.algorithm == "ppo" and not options.cluster and not options.workers


def _train(folder: Path, planned: PlannedPopulation, options: PopulationOptions) -> PopulationReport:
    recipe, plan = planned
    with extensions_needed(recipe.imports):
        family = make_family(recipe.family, recipe.parameters)
    # A run goes on as it began, also on a machine with another device.
    if (folder / STATE).exists() or (is_one_program(recipe, options) and not (folder / AGENTS).exists()):
        return _train_program(folder, planned, options)
    if (folder / AGENTS).exists() and not options.cluster:
        warn_of_differences(read_recipe(folder)[1], recipe.threads)
    where = f"Dask at {options.cluster}" if options.cluster else "a pool of processes"
    tqdm.write(f"goalmaze: {len(plan)} agents, each trained by itself on {where}", file=sys.stderr)
    summary = train_agents(
        folder, recipe, plan, save_every=options.save_every, workers=options.workers, cluster=options.cluster
    )
    if summary.stopped:
        raise _stopped(folder, f"{summary.finished} of {len(plan)} agents finished", summary.signal_number)
    reports = stack_agents(folder, plan)
    report = gathered_report(folder, reports, family.distinguishing_shift)
    remove_agents(folder)
    return report


def _train_program(folder: Path, planned: PlannedPopulation, options: PopulationOptions) -> PopulationReport:
    recipe, plan = planned
    result = run_population(folder, recipe, plan, options.save_every)
    if result.interrupted:
        raise _stopped(folder, f"{len(plan)} agents after {result.steps:,} steps each", result.signal_number)
    report = evaluated_report(folder, result.seconds)
    remove_state(folder)
    return report


def _stopped(folder: Path, how_far: str, signal_number: int) -> StopError:
    """Return the error of a population that was stopped and can be continued."""
    command = f"goalmaze train --resume {shlex.quote(str(folder))}{import_flags()}"
    return StopError(f"{folder}: stopped with {how_far}; continue with: {command}", signal_number)


def _logged_seconds(folder: Path) -> float:
    """Return the seconds of training of all agents by their log; 0 where it cannot be read."""
    try:
        return sum({line["agent"]: float(line["seconds"]) for line in read_log(folder)}.values())
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
