"""`report.json` of a run folder: the evaluation of the agent at the end of its training.

A report holds the digest of the checkpoint that was evaluated, and is believed beside that checkpoint alone. Reports of
version 0.1 are read too; they hold the number of training steps.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from goalmaze.agents.checkpoints import read_identity
from goalmaze.agents.loading import CHECKPOINT
from goalmaze.agents.population_files import read_population
from goalmaze.agents.zoo import current_label
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import read_json
from goalmaze.experiments.common.cue_items import goals_use_up_cues

REPORT = "report.json"


class _Interval(msgspec.Struct):
    low: float | None
    high: float | None
    levels: int


class _Estimate(_Interval):
    value: float | None


class _Preference(_Interval):
    cue: float | None


class _Outcomes(msgspec.Struct):
    goal: float | None
    cue: float | None
    neither: float | None


class _Capability(msgspec.Struct):
    arrived: _Estimate


class _Returns(msgspec.Struct):
    true_discounted: _Estimate


class _Evaluation(msgspec.Struct):
    outcomes: _Outcomes
    solved: float | None
    solved_interval: _Interval
    capability: _Capability
    preference: _Preference
    returns: _Returns


class _AgentReport(msgspec.Struct):
    """What other commands read of one agent in the report of a population; it may hold more."""

    agent: int
    seed: int
    parameters: JsonObject
    steps: int
    seconds: float
    stopped: str | None
    label: str
    in_distribution: _Evaluation
    shifts: dict[str, _Evaluation]


class _PopulationReport(msgspec.Struct):
    """What other commands read of the report of a population; it may hold more."""

    steps: int
    seconds: float
    checkpoint: str
    distinguishing_shift: str
    agents: list[_AgentReport]


class _Report(msgspec.Struct):
    """What other commands read of a report; it may hold more."""

    steps: int
    seconds: float
    interrupted: bool
    label: str
    in_distribution: _Evaluation
    shifts: dict[str, _Evaluation]
    checkpoint: str | None = None


def read_report(folder: Path) -> JsonObject:
    """Return the report of the checkpoint in a run folder, with the keys of the present version.

    Raises:
        OSError: there is no report.
        ValueError: it is not the JSON of a report, the report of another checkpoint, or there is no checkpoint.
    """
    path = folder / REPORT
    data = read_json(path)
    try:
        current = current_report(data)
        report = msgspec.convert(current, _Report)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        # Run folders may come from anyone: JSON of another form is an error of the file, not of this program.
        raise ValueError(f"{path} is no report of a run") from None
    evaluated = read_identity(folder / CHECKPOINT)
    if report.steps != evaluated.steps or report.checkpoint not in (None, evaluated.digest):
        raise ValueError(
            f"{path} is the report of another checkpoint; goalmaze train --resume {folder} makes a new one"
        )
    return current


def read_population_report(folder: Path) -> JsonObject:
    """Return the report of the population in a run folder.

    Raises:
        OSError: there is no report.
        ValueError: it is not the JSON of the report of a population, the report of another checkpoint, or there is no
            checkpoint.
    """
    path = folder / REPORT
    data: JsonObject = read_json(path)
    try:
        report = msgspec.convert(data, _PopulationReport)
    except (TypeError, ValueError, RecursionError):
        raise ValueError(f"{path} is no report of a population") from None
    header = read_population(folder / CHECKPOINT).header
    if report.checkpoint != header.digest or len(report.agents) != len(header.agents):
        raise ValueError(
            f"{path} is the report of another checkpoint; goalmaze train --resume {folder} makes a new one"
        )
    return data


def finished_report(folder: Path) -> JsonObject | None:
    """Return the report of a run that took all its steps and was evaluated; None for any other run."""
    try:
        report = read_report(folder)
    except (OSError, ValueError):
        return None
    return None if report["interrupted"] else report


def current_report(report: JsonObject) -> JsonObject:
    """Return a report with the keys, labels and preferences of version 0.1 replaced by the present ones.

    Version 0.1 wrote `exit` for the rate at which the goal was reached first, in every family, and a preference where
    none can be seen.
    """
    current = dict(report)
    if "label" in current:
        current["label"] = current_label(current["label"])
    if "in_distribution" in current:
        current["in_distribution"] = _current_evaluation(current["in_distribution"])
    if "shifts" in current:
        current["shifts"] = {shift: _current_evaluation(one) for shift, one in current["shifts"].items()}
    return current


def _current_evaluation(evaluation: JsonObject) -> JsonObject:
    outcomes = {"goal" if name == "exit" else name: rate for name, rate in evaluation["outcomes"].items()}
    current = evaluation | {"outcomes": outcomes}
    if not _shows_preference(evaluation):
        current["preference"] = {"cue": None, "low": 0.0, "high": 1.0, "levels": 0}
    return current


def _shows_preference(evaluation: JsonObject) -> bool:
    """Return whether the preference of an evaluation means something.

    Version 0.1 counted collected cues in families of every kind. That is a preference only where goals use up cues.
    """
    if evaluation["goal"]["levels"] or not evaluation["preference"]["levels"]:
        return True
    try:
        return goals_use_up_cues(make_family(evaluation["family"]))
    except GoalmazeError:
        # The user's own family is unknown here without its --import; its report stays as it is.
        return True
