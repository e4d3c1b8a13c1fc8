"""The readings of a finished run, measured once and kept in its folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from goalmaze.agents.files import write_json
from goalmaze.agents.loading import load_agent
from goalmaze.agents.training.penalties.base import Penalty
from goalmaze.agents.training.penalties.registry import make_penalty, penalty_options
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import read_recipe
from goalmaze.agents.training.training_state import STATE, read_state
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import DEFAULT_SPEC
from goalmaze.envs.observations.views import make_view
from goalmaze.envs.text_files import is_file, read_json
from goalmaze.experiments.against_readings.readings import (
    ABLATION_PART,
    HELD_OUT,
    REFITTED,
    START_PROBE,
    VALUE_PART,
    cue_parts,
    held_out_readings,
    penalty_score,
    refitted_score,
)
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.probes.penalties import shipped as _penalties  # noqa: F401  registers them

READINGS = "readings.json"
VERSION = 3

LINEAR = "linear-probe"
"""The penalty whose probe a run keeps."""


@dataclasses.dataclass(frozen=True)
class RunReadings:
    """What is known of a finished run.

    Attributes:
        run: the name of its folder.
        against: the reading of `TRAINED_AGAINST` that it was trained against; empty where it is none of the cue.
        solved: rate of training-distribution levels that it solves.
        arrived: rate of levels under the distinguishing shift on which it reaches goal or cue.
        preference: preference for the cue there, with low and high end of the 95 % interval over levels.
        scores: reading → score.
    """

    run: str
    against: str
    solved: float
    arrived: float
    preference: tuple[float, float, float]
    scores: Mapping[str, float]


def run_readings(folder: Path) -> RunReadings:
    """Return the readings of a finished run, measured where they are not kept yet.

    Raises:
        GoalmazeError: the run is not finished, or its files cannot be read.
    """
    recipe, _ = read_recipe(folder)
    report = finished_report(folder)
    if report is None:
        raise GoalmazeError(f"{folder} is no finished run: train it to its end first")
    checkpoint = report["checkpoint"]
    kept = read_json(folder / READINGS) if is_file(folder / READINGS) else {}
    if kept.get("version") != VERSION or kept.get("checkpoint") != checkpoint or set(HELD_OUT) - set(kept["scores"]):
        kept = {"version": VERSION, "checkpoint": checkpoint, "scores": _measured(folder, recipe)}
        write_json(folder / READINGS, kept)
    return of_report(folder.name, recipe, report, kept["scores"])


def of_report(run: str, recipe: Recipe, report: JsonObject, scores: Mapping[str, float]) -> RunReadings:
    """Return the readings of a run with what its report says of its behaviour."""
    shifted = report["shifts"][make_family(recipe.family, recipe.parameters).distinguishing_shift]
    preference = shifted["preference"]
    value = float("nan") if preference["cue"] is None else preference["cue"]
    return RunReadings(
        run,
        trained_against(recipe),
        report["in_distribution"]["solved"],
        shifted["capability"]["arrived"]["value"],
        (value, preference["low"], preference["high"]),
        scores,
    )


def common_family(recipe: Recipe) -> Family:
    """Return the family of a recipe with the training distribution of all arms, whose levels are read."""
    return make_family(recipe.family, {"size": recipe.parameters["size"]})


def _measured(folder: Path, recipe: Recipe) -> dict[str, float]:
    agent, family = load_agent(str(folder)), common_family(recipe)
    scores = {**held_out_readings(agent, family), **cue_parts(agent.network, family)}
    scores[REFITTED] = refitted_score(agent.network, family)
    probe = trained_probe(folder, recipe, family)
    if probe is not None:
        name = REFITTED if recipe.penalty_through == "refitted" and LINEAR in recipe.penalty else START_PROBE
        scores[name] = penalty_score(probe, agent.network, family)
    return scores


def trained_probe(folder: Path, recipe: Recipe, family: Family) -> Penalty | None:
    """Return the probe that a run was trained against as it was at the end, or else that of its start.

    Returns:
        The linear probe of the training state. Where there is none, one fitted to the agent that the run started from;
        None for a run from random weights.
    """
    view = make_view(family, DEFAULT_SPEC)
    if LINEAR in recipe.penalty:
        penalty = make_penalty(LINEAR, family, view, recipe.seed, penalty_options(recipe.penalty_options))
        _, arrays = read_state(folder / STATE)
        prefix = f"term/penalty{list(recipe.penalty).index(LINEAR)}/"
        penalty.restore({key.removeprefix(prefix): one for key, one in arrays.items() if key.startswith(prefix)})
        return penalty
    if not recipe.start:
        return None
    penalty = make_penalty(LINEAR, family, view, recipe.seed, penalty_options({}))
    penalty.fit(load_agent(recipe.start).network)
    return penalty


def trained_against(recipe: Recipe) -> str:
    """Return the reading of `TRAINED_AGAINST` that a recipe trains against; empty where it is none of the cue."""
    if LINEAR in recipe.penalty:
        return REFITTED if recipe.penalty_through == "refitted" else START_PROBE
    parts = {"value-gradient": VALUE_PART, "plane-ablation": ABLATION_PART}
    return next((reading for penalty, reading in parts.items() if penalty in recipe.penalty), "")
