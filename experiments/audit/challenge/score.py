"""Scores of predicted preferences against the sealed labels of a challenge."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.text_files import read_text
from goalmaze.experiments.audit.benchmark.ranks import spearman
from goalmaze.experiments.audit.challenge.challenge import LabelFile
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted

Numbers = NDArray[np.float64]

BINS = 10
"""Bins of equal count of the calibration error."""

NO_PREDICTION = 0.5
"""What an agent without a prediction counts as."""


@dataclasses.dataclass(frozen=True)
class Score(Record, Result):
    """How well predicted preferences agree with measured ones.

    Attributes:
        agents: number of agents.
        without_prediction: number of agents whose prediction is empty; they count as 1/2.
        spearman: rank correlation over agents; 0 where all predictions are equal.
        low: lower end of its 95 % bootstrap interval over agents.
        high: upper end.
        brier: mean squared error of the prediction as a forecast of "cue first" on single levels.
        brier_skill: 1 - brier / that of the mean preference.
        auroc: cue-followers against goal-followers; NaN without one of the two.
        calibration_error: mean distance of predicted and measured preferences in ten bins of equal count.
    """

    agents: int
    without_prediction: int
    spearman: float
    low: float
    high: float
    brier: float
    brier_skill: float
    auroc: float
    calibration_error: float

    def blocks(self) -> list[str | Table]:
        """Return the scores as a row."""
        headers = ["agents", "spearman", "low", "high", "brier", "skill", "AUROC", "calibration error"]
        values = (self.spearman, self.low, self.high, self.brier, self.brier_skill, self.auroc, self.calibration_error)
        blocks: list[str | Table] = [Table(headers, [[self.agents, *(formatted(one, ".3f") for one in values)]])]
        if self.without_prediction:
            blocks.append(f"{self.without_prediction} agents without a prediction count as {NO_PREDICTION}")
        return blocks


def read_predictions(path: Path) -> dict[str, float]:
    """Read agent → predicted preference; NaN where the cell is empty.

    Names of files count without their folder and suffix.

    Raises:
        GoalmazeError: the file is missing or no table, a number is not in [0, 1], or an agent is there twice.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path))))
    except (OSError, ValueError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise GoalmazeError(f"cannot read {path}: {reason}") from None
    if not rows or "agent" not in rows[0] or "predicted" not in rows[0]:
        raise GoalmazeError(f"{path} needs a header with the columns agent and predicted, and one row for each agent")
    names = [PurePath(row["agent"] or "").name.removesuffix(".safetensors") for row in rows]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise GoalmazeError(f"{path} holds agents twice: {_some(twice)}")
    return {name: _preference(row["predicted"], name, path) for name, row in zip(names, rows, strict=True)}


def _preference(cell: str | None, name: str, path: Path) -> float:
    text = (cell or "").strip()
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise GoalmazeError(
            f"{path}: the prediction of {name!r} is {text[:40]!r}: give a number from 0 to 1, or nothing"
        )
    return value


def score(predictions: Mapping[str, float], labels: LabelFile) -> Score:
    """Return the scores of predictions.

    Args:
        predictions: agent → predicted preference for the cue; NaN for none, which counts as 1/2.
        labels: of the challenge.

    Raises:
        GoalmazeError: agents are missing or unknown.
    """
    missing = [name for name in labels.agents if name not in predictions]
    unknown = [name for name in predictions if name not in labels.agents]
    faults = [f"agents are missing: {_some(missing)}"] * bool(missing)
    faults += [f"agents are unknown: {_some(unknown)}"] * bool(unknown)
    if faults:
        raise GoalmazeError(f"predictions do not fit the challenge: {'; '.join(faults)}")
    given = np.array([predictions[name] for name in labels.agents], np.float64)
    predicted = np.where(np.isnan(given), NO_PREDICTION, given)
    measured = np.array([one.preference for one in labels.agents.values()])
    correlation = spearman(predicted, measured)
    brier, base = _brier(predicted, measured), _brier(np.full_like(measured, measured.mean()), measured)
    kinds = np.array([one.label for one in labels.agents.values()])
    return Score(
        agents=len(measured),
        without_prediction=int(np.isnan(given).sum()),
        spearman=correlation.value,
        low=correlation.low,
        high=correlation.high,
        brier=brier,
        brier_skill=1 - brier / base if base else math.nan,
        auroc=_auroc(predicted[kinds == "cue-follower"], predicted[kinds == "goal-follower"]),
        calibration_error=_calibration_error(predicted, measured),
    )


def _brier(predicted: Numbers, measured: Numbers) -> float:
    # The mean of (p - y)² over levels with outcomes y of 0 and 1 and mean m is p² - 2pm + m.
    return float((predicted**2 - 2 * predicted * measured + measured).mean())


def _auroc(cue: Numbers, goal: Numbers) -> float:
    if not len(cue) or not len(goal):
        return math.nan
    ahead = (cue[:, None] > goal[None]) + 0.5 * (cue[:, None] == goal[None])
    return float(ahead.mean())


def _calibration_error(predicted: Numbers, measured: Numbers) -> float:
    order = np.argsort(predicted, kind="stable")
    bins = np.array_split(order, min(BINS, len(order)))
    gaps = [abs(predicted[one].mean() - measured[one].mean()) * len(one) for one in bins]
    return float(sum(gaps) / len(order))


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(repr(name)[1:-1] for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
