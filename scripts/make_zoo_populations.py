"""Train the populations of the zoo and write their manifest: ``python scripts/make_zoo_populations.py [NAME ...]``.

`agents/zoo/populations.toml` holds the command of every population, and how many scheduled checkpoints ship beside the
final one. An interrupted training is resumed. A population that was trained elsewhere, such as on a GPU, is taken from
its run folder in `--runs`: it must be of the command.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

from goalmaze.agents.files import write_json
from goalmaze.agents.loading import CHECKPOINT, RECIPE
from goalmaze.agents.training.population_plan import PopulationPlan
from goalmaze.agents.training.recipe import recipe_from
from goalmaze.agents.zoo import HERE, POPULATIONS, digests, read_manifest
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.cli import parse
from goalmaze.experiments.common.run_report import read_population_report
from goalmaze.experiments.train.command import read_settings
from goalmaze.experiments.train.config import TrainConfig
from goalmaze.experiments.train.population.plan import PlannedPopulation, planned
from goalmaze.experiments.train.population.pool import AGENTS
from goalmaze.experiments.train.population.seeds import grid_of, seed_list
from goalmaze.experiments.train.population.shipping import ship_population

WANTED = HERE / "populations.toml"


def command_of(population: JsonObject) -> str:
    """Return the command that trains a population, without its folder."""
    return f"goalmaze train {population['train']}"


def population_of(command: str) -> PlannedPopulation:
    """Return the population that a command trains."""
    config = parse(shlex.split(command)[1:]).config
    assert isinstance(config, TrainConfig)
    assert config.seeds is not None
    return planned(read_settings(config), seed_list(config.seeds), grid_of(config.grid))


def check_run(run: Path, command: str) -> None:
    """Check that a run folder is of a command.

    Raises:
        GoalmazeError: it is of another one.
    """
    content, wanted = json.loads((run / RECIPE).read_text("utf-8")), population_of(command)
    # The device and the number of threads are those of the machine.
    recipe = dataclasses.replace(
        recipe_from(content["recipe"]), device=wanted.recipe.device, threads=wanted.recipe.threads
    )
    if (recipe, PopulationPlan.of(content).json()) != (wanted.recipe, wanted.plan.json()):
        raise GoalmazeError(f"{run} is not a run of: {command}; remove it to train it again")


def train(command: str, run: Path) -> None:
    """Train a population, or continue its training; do nothing where it is finished."""
    arguments = [*shlex.split(command)[2:], "--out", str(run)]
    if (run / RECIPE).exists():
        check_run(run, command)
        if (run / CHECKPOINT).exists() and not (run / AGENTS).exists():
            return
        arguments = ["--resume", str(run)]
    subprocess.run([sys.executable, "-m", "goalmaze.experiments", "train", *arguments], check=True)


def write_manifest(wanted: JsonObject) -> None:
    """Write the manifest of the populations that are in the zoo."""
    entries = {
        name: {
            "command": command_of(population),
            "purpose": population["purpose"],
            "seconds": read_population_report(HERE / name)["seconds"],
            "files": digests(HERE / name),
        }
        for name, population in wanted.items()
        if (HERE / name).is_dir()
    }
    write_json(POPULATIONS, entries)


def main() -> None:
    """Train and ship what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="names of populations; all by default")
    parser.add_argument("--runs", type=Path, default=Path("runs/zoo"), help="the folder of the runs")
    parser.add_argument("--again", action="store_true", help="ship populations again that are in the zoo")
    options = parser.parse_args()
    wanted: JsonObject = tomllib.loads(WANTED.read_text("utf-8"))
    made = read_manifest(POPULATIONS) if POPULATIONS.is_file() else {}
    options.runs.mkdir(parents=True, exist_ok=True)
    for name in options.names or wanted:
        command, run = command_of(wanted[name]), options.runs / name
        if name in made and made[name].command == command and not options.again:
            continue
        train(command, run)
        print(ship_population(run, HERE / name, checkpoints=wanted[name]["checkpoints"]))
        # After every population: an interrupted run of this script keeps those that are done.
        write_manifest(wanted)


if __name__ == "__main__":
    main()
