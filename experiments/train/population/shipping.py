"""Populations that ship: the files of a run in half precision, and the behaviour of the agents with these weights."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from goalmaze.agents.files import new_folder
from goalmaze.agents.loading import CHECKPOINT, RECIPE
from goalmaze.agents.population_files import read_population, save_population
from goalmaze.agents.training.checkpoint_schedule import CHECKPOINTS, checkpoint_series
from goalmaze.agents.training.log import LOG
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.run_report import read_population_report
from goalmaze.experiments.train.population.report import PopulationReport, evaluated_report


def ship_population(run: Path, target: Path, *, checkpoints: int) -> PopulationReport:
    """Make a folder of a finished population that ships; it appears with all its files at once.

    Weights are stored in half precision, and the report is measured with them.

    Args:
        run: the run folder of the population.
        target: the folder; its name is that of the population in the report.
        checkpoints: number of scheduled checkpoints that ship beside the final one, see `chosen_checkpoints`.

    Raises:
        GoalmazeError: the population is not finished, it has fewer checkpoints, or a weight is too large for half
            precision.
    """
    try:
        seconds = float(read_population_report(run)["seconds"])
    except (OSError, ValueError) as error:
        raise GoalmazeError(f"{run} is not a finished population ({error})") from None
    series, last = checkpoint_series(run), read_population(run / CHECKPOINT).header.steps
    chosen = chosen_checkpoints([steps for steps in series if steps < last], checkpoints)
    with new_folder(target, replace=True) as folder:
        (folder / CHECKPOINTS).mkdir()
        for name in (RECIPE, LOG):
            shutil.copy(run / name, folder / name)
        for steps in chosen:
            _halve(series[steps], folder / CHECKPOINTS / series[steps].name)
        _halve(run / CHECKPOINT, folder / CHECKPOINT)
        return evaluated_report(folder, seconds, target.name)


def chosen_checkpoints(series: Sequence[int], count: int) -> list[int]:
    """Return `count` of the step counts of a series, evenly spaced in their order, with the first trained and the last.

    The untrained network is left out: it follows from the seed alone.

    Raises:
        GoalmazeError: the series has fewer.
    """
    trained = [steps for steps in series if steps > 0]
    if not 0 <= count <= len(trained):
        raise GoalmazeError(f"{count} checkpoints are to ship, and the run has {len(trained)} within training")
    return [trained[round(place)] for place in np.linspace(0, len(trained) - 1, count)] if count else []


def _halve(source: Path, target: Path) -> None:
    """Write a stacked checkpoint again with weights in half precision."""
    stored = read_population(source)
    networks, families, headers = zip(*(stored.agent(number) for number in range(len(stored))), strict=True)
    entries = stored.header.agents
    save_population(
        target,
        stored.tensors,
        networks[0],
        families,
        [entry.seed for entry in entries],
        [header.steps for header in headers],
        stopped={number: entry.stopped for number, entry in enumerate(entries) if entry.stopped},
        half=True,
    )
