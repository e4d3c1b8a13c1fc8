"""`goalmaze train`: train an agent, or continue an interrupted run, and report how it behaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from goalmaze.agents.devices import find_device
from goalmaze.agents.loading import holds_population
from goalmaze.agents.training.algorithms import make_environments
from goalmaze.agents.training.device_recipe import for_device
from goalmaze.agents.training.migration import current_recipe
from goalmaze.agents.training.recipe import Recipe, recipe_from
from goalmaze.agents.training.run import FinishedError, read_recipe, resume, train
from goalmaze.agents.training.start import NETWORK_SETTINGS, network_settings
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import loaded_extensions
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.text_files import read_json, read_toml
from goalmaze.experiments.common.assignments import assignments
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.formation.watch import GoalWatch, StopRule
from goalmaze.experiments.jobs.report import TrainingReport, report_run
from goalmaze.experiments.train.config import TrainConfig
from goalmaze.experiments.train.population.plan import planned
from goalmaze.experiments.train.population.report import PopulationReport
from goalmaze.experiments.train.population.seeds import folder_text, grid_of, seed_list
from goalmaze.experiments.train.population.training import PopulationOptions, resume_population, train_population
from goalmaze.probes.penalties import shipped as _penalties  # noqa: F401  registers them

RUNS = Path("runs")
"""The folder that holds runs without --out."""

RECIPE_OPTIONS = (
    "family",
    "network",
    "start",
    "distill",
    "steps",
    "seed",
    "threads",
    "observation",
    "algorithm",
    "curriculum",
    "penalty_through",
    "penalty_kl",
    "ablate_direction",
    "route_cue",
    "device",
    "series",
)

"""The options that are settings of a recipe."""

RESUME_OPTIONS = ("resume", "device", "save_every", "tensorboard", "workers", "cluster", "watch_goal", "stop_if")
"""The options that may be given together with --resume."""


def run(config: TrainConfig) -> TrainingReport | PopulationReport:
    """Train a new agent or population or continue an interrupted one, then evaluate it and write its report.

    Raises:
        GoalmazeError: the run folder exists, there is nothing to resume, or a setting is unknown or out of range.
        StopError: a person or the system stopped the training. It is saved, and not evaluated.
    """
    if config.resume is not None:
        return _resume(config, config.resume)
    recipe = read_settings(config)
    if config.seeds is not None:
        return _train_population(config, recipe, seed_list(config.seeds))
    training = train(
        recipe,
        config.out or RUNS / f"{recipe.family}-seed{recipe.seed}",
        save_every=config.save_every,
        tensorboard=config.tensorboard,
        numbered=config.out is None,
        watch=_watch(config, recipe),
    )
    return report_run(training)


def _watch(config: TrainConfig, recipe: Recipe) -> GoalWatch | None:
    """Return the watch that the options ask for.

    Raises:
        GoalmazeError: --stop-if cannot be read, or the family cannot be audited.
    """
    if not config.watch_goal and config.stop_if is None:
        return None
    rule = None if config.stop_if is None else StopRule.parse(config.stop_if)
    # On a GPU a recipe may have other steps.
    chosen = for_device(recipe, find_device(recipe.device).type)
    mazes = make_environments(chosen).mazes
    return GoalWatch(mazes.family, mazes.view.spec, chosen.steps, rule)


def _train_population(config: TrainConfig, recipe: Recipe, seeds: tuple[int, ...]) -> PopulationReport:
    if any(pair.partition("=")[0] == "seed" for pair in config.set):
        raise GoalmazeError("--seeds and --set seed=... exclude each other: leave one out")
    return train_population(
        planned(recipe, seeds, grid_of(config.grid)),
        config.out or RUNS / f"{recipe.family}-{folder_text(seeds)}",
        _options(config),
        numbered=config.out is None,
    )


def _options(config: TrainConfig) -> PopulationOptions:
    return PopulationOptions(save_every=config.save_every, workers=config.workers, cluster=config.cluster)


def _resume(config: TrainConfig, folder: Path) -> TrainingReport | PopulationReport:
    for field in dataclasses.fields(config):
        if field.name not in RESUME_OPTIONS and getattr(config, field.name) != field.default:
            name = field.name.replace("_", "-")
            raise GoalmazeError(
                f"--{name} cannot be changed by --resume, which continues the run with its own settings: leave it out"
            )
    if holds_population(folder):
        if config.tensorboard:
            raise GoalmazeError(f"{folder} is a population, and --tensorboard is for one agent; leave it out")
        if config.watch_goal or config.stop_if is not None:
            raise GoalmazeError(f"{folder} is a population, and --watch-goal is for one agent; leave it out")
        return resume_population(folder, _options(config), config.device)
    for name in ("workers", "cluster"):
        if getattr(config, name):
            raise GoalmazeError(f"{folder} is one agent, and --{name} is for populations; leave it out")
    try:
        watch = _watch(config, read_recipe(folder)[0])
        training = resume(
            folder,
            save_every=config.save_every,
            tensorboard=config.tensorboard,
            watch=watch,
            device=config.device,
        )
    except FinishedError as error:
        # A run that was killed before its report was written, or whose report is damaged, still needs one.
        if finished_report(folder) is not None:
            raise
        training = error.result
    return report_run(training)


def read_settings(config: TrainConfig) -> Recipe:
    """Return the recipe of a configuration: the settings of its file, overridden by its options."""
    # From weak to strong: defaults of the recipe, the file, the options, --set.
    settings = _read_file(config.recipe) if config.recipe else {}
    options = {name: getattr(config, name) for name in RECIPE_OPTIONS}
    settings |= {name: value for name, value in options.items() if value is not None}
    settings |= assignments(config.set, "--set")
    settings["parameters"] = _table(settings, "parameters") | assignments(config.parameters, "--parameters")
    if config.size is not None:
        settings["parameters"]["size"] = config.size
    for name in ("network_options", "curriculum_options", "penalty", "penalty_options"):
        given = assignments(getattr(config, name), f"--{name.replace('_', '-')}")
        settings[name] = _table(settings, name) | given
    if settings.get("start") and not any(settings.get(name) for name in NETWORK_SETTINGS):
        settings |= network_settings(str(settings["start"]))
    recipe = recipe_from(settings)
    # The recipe names the user's own code, so that an error on loading the run can say what to import.
    return dataclasses.replace(recipe, imports=tuple(dict.fromkeys((*recipe.imports, *loaded_extensions()))))


def _table(settings: ReadonlyJsonObject, name: str) -> JsonObject:
    """Return a table of settings, which a file may hold as anything."""
    table = settings.get(name, {})
    if not isinstance(table, Mapping):
        raise GoalmazeError(f"recipe: {name} is {table!r}: give a table of settings")
    return dict(table)


def _read_file(path: Path) -> JsonObject:
    try:
        # Any, until it is checked below.
        data: Any = read_json(path) if path.suffix == ".json" else read_toml(path)
    except OSError as error:
        raise GoalmazeError(f"cannot read recipe {path}: {error.strerror}") from None
    except ValueError as error:
        raise GoalmazeError(f"recipe {path} cannot be parsed: {error}") from None
    # recipe.json of a run holds the recipe beside the versions it was trained with; a TOML file is the recipe itself.
    recipe = data.get("recipe", data) if isinstance(data, Mapping) else data
    if not isinstance(recipe, Mapping):
        raise GoalmazeError(f"recipe {path} is not a table of settings")
    return current_recipe(recipe)
