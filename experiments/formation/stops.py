"""What stopping by the forecast would have saved, on runs that were trained to their end."""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.calibration import from_logits
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.formation.series import Series
from goalmaze.experiments.formation.watch import FIRST, Forecaster, StopRule
from goalmaze.probes.audit.method import Measurement

RULES = ("cue=0.7", "cue=0.8", "cue=0.9")
"""The rules of the table."""


@dataclasses.dataclass(frozen=True)
class StopRow:
    """A rule on the runs of a condition.

    Attributes:
        condition: the condition.
        rule: such as "cue=0.8".
        method: the audit method of the forecast.
        agents: number of agents.
        stopped: number that it stops before the last checkpoint.
        rightly: number of these whose final preference reaches the threshold.
        reaching: number of all agents whose final preference reaches it.
        saved: fraction of all steps of the condition that are saved.
        median_fraction: median fraction of training at which it stops; NaN where it stops nothing.
    """

    condition: str
    rule: str
    method: str
    agents: int
    stopped: int
    rightly: int
    reaching: int
    saved: float
    median_fraction: float

    def json(self) -> JsonObject:
        """Return the row as plain data."""
        return dataclasses.asdict(self) | {
            "saved": number(self.saved),
            "median_fraction": number(self.median_fraction),
        }


def stop_rows(series: Series, forecaster: Forecaster) -> list[StopRow]:
    """Return what each rule would have done at the checkpoints of a condition's runs."""
    if forecaster.method not in series.measures:
        return []
    scores = series.scores(forecaster.method)
    logits = np.array([[forecaster.calibration.logit(Measurement(one)) for one in agent] for agent in scores])
    forecasts, fractions = from_logits(logits), np.array(series.run.steps) / series.run.steps[-1]
    looked = (fractions >= FIRST * 0.999) & (fractions < 1)
    rows = []
    for text in RULES:
        rule = StopRule.parse(text)
        stops = np.vectorize(rule.applies)(forecasts) & looked
        stopped, reaching = stops.any(axis=1), np.vectorize(rule.applies)(series.final)
        when = fractions[stops.argmax(axis=1)]
        rows.append(
            StopRow(
                series.run.condition,
                text,
                forecaster.method,
                len(scores),
                int(stopped.sum()),
                int((stopped & reaching).sum()),
                int(reaching.sum()),
                float(np.where(stopped, 1 - when, 0.0).mean()),
                float(np.median(when[stopped])) if stopped.any() else float("nan"),
            )
        )
    return rows
