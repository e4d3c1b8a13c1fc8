"""Trains what is missing, remakes the tables and the picture of ``sleepers.md``, and packs agents that ship."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.agents.loading import CHECKPOINT, RECIPE
from goalmaze.agents.population import load_population
from goalmaze.agents.population_files import save_population, stack_weights
from goalmaze.envs.text_files import read_text
from goalmaze.experiments.audit.sleepers.agents import SHIPPED, recipes
from goalmaze.experiments.audit.sleepers.command import sleeper_report
from goalmaze.experiments.audit.sleepers.report import SleeperReport
from goalmaze.experiments.common.pages import filled

PAGE, PICTURES = "sleepers.md", "pictures"

PACKED = 6
"""Agents of each population that ship."""


def train(folder: Path, seeds: int) -> None:
    """Train the populations that a folder lacks, in the order of the recipes, and go on with unfinished ones.

    Args:
        folder: the folder of all populations.
        seeds: the largest number of seeds of a population, from 0 on.
    """
    for name, recipe in recipes().items():
        runs = folder / name
        if recipe.zoo or (runs / CHECKPOINT).is_file():
            continue
        words = (
            ["--resume", str(runs)]
            if (runs / RECIPE).is_file()
            else recipe.command(name, min(seeds, recipe.agents), folder)
        )
        subprocess.run([sys.executable, "-m", "goalmaze.experiments", "train", *words], check=True)


def pack(folder: Path, target: Path) -> None:
    """Write the first `PACKED` agents of each population of a folder into one file, with weights in half precision."""
    for name, recipe in recipes().items():
        if recipe.zoo or not recipe.kind:
            continue
        if (folder / name / CHECKPOINT).is_file():
            population = load_population(str(folder / name))
            agents = population.agents[:PACKED]
            save_population(
                target / f"{name}.safetensors",
                stack_weights([one.network for one in agents]),
                population[0].network,
                [one.family for one in agents],
                population.seeds[:PACKED],
                [0 if one.header is None else one.header.steps for one in agents],
                half=True,
            )


def filled_page(page: str, result: SleeperReport) -> str:
    """Return the text of the page with the tables of a study."""
    return filled(page, "benchmark", result.tables())


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("docs", type=Path, help="the folder of the documentation")
    parser.add_argument("--agents", type=Path, help="the folder of all populations; the agents that ship by default")
    parser.add_argument(
        "--train",
        type=int,
        metavar="INT",
        help="first train what is missing of as many seeds, or as many as are wanted",
    )
    parser.add_argument("--pack", action="store_true", help=f"ship the first {PACKED} agents of each population")
    parser.add_argument("--cache", type=Path, help="the folder that keeps measurements")
    chosen = parser.parse_args(arguments)
    if chosen.agents is None and (chosen.train or chosen.pack):
        parser.error("--train and --pack need --agents FOLDER")
    if chosen.train:
        train(chosen.agents, chosen.train)
    if chosen.pack:
        pack(chosen.agents, SHIPPED)
    result = sleeper_report(chosen.agents, cache=chosen.cache, figures=chosen.docs / PICTURES)
    page = chosen.docs / PAGE
    write_atomically(page, filled_page(read_text(page), result).encode())
