"""Forecasts: how well a measure early in training orders agents by their preference at its end."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.benchmark.ranks import Estimate, spearman
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.formation.alarms import Outcome
from goalmaze.experiments.formation.measures.all import COARSE, FINAL, INSIDE, SENSITIVE
from goalmaze.experiments.formation.registration import Registered
from goalmaze.experiments.formation.series import Series
from goalmaze.experiments.statistics.comparisons import holm
from goalmaze.probes.audit.pool import neutral
from goalmaze.probes.audit.sides import sides_of

Numbers = NDArray[np.float64]

COMPETITORS = (SENSITIVE, COARSE)
"""The measures of behaviour that the inside is compared with; the first is the registered one."""

COPY = "ablation-value"
"""In families whose objects look the same under the shift, this is the primary measure by construction."""


@dataclasses.dataclass(frozen=True, eq=False)
class Forecast:
    """A measure at a fraction of training against the final preference, beside a measure of behaviour.

    Attributes:
        condition: the condition.
        measure: the measure.
        behaviour: the competitor.
        fraction: of training.
        steps: of the checkpoint.
        agents: number of agents.
        inside: Spearman's correlation of the measure with the final preference.
        competitor: that of the competitor.
        reliabilities: split-half reliability of the measure, of the competitor and of the final preference; NaN where
            there is none.
        level: of significance.
        lowest_reliability: below which no correlation is corrected.
        adjusted: p of the difference after Holm's correction.
    """

    condition: str
    measure: str
    behaviour: str
    fraction: float
    steps: int
    agents: int
    inside: Estimate
    competitor: Estimate
    reliabilities: tuple[float, float, float]
    level: float
    lowest_reliability: float
    adjusted: float = float("nan")

    @property
    def difference(self) -> Estimate:
        """The paired difference of the two correlations."""
        return self.inside.minus(self.competitor)

    @property
    def p(self) -> float:
        """Twice the smaller tail of the bootstrap distribution of the difference."""
        samples = self.difference.samples
        tail = min((samples <= 0).sum(), (samples >= 0).sum())
        return float(min(1.0, 2 * max(tail, 1) / (len(samples) + 1)))

    @property
    def outcome(self) -> Outcome:
        """Leads, ties or lags at this fraction."""
        if self.adjusted < self.level:
            return "leads" if self.difference.value > 0 else "lags"
        return "ties"

    def corrected(self, which: int) -> float:
        """Return a correlation divided by the root of both reliabilities.

        Args:
            which: 0 for the measure, 1 for the competitor.
        """
        own, final = self.reliabilities[which], self.reliabilities[2]
        if not (own >= self.lowest_reliability and final >= self.lowest_reliability):
            return math.nan
        value = (self.inside, self.competitor)[which].value
        return value / math.sqrt(min(own, 1.0) * min(final, 1.0))

    def json(self) -> JsonObject:
        """Return the forecast as plain data."""
        difference = self.difference
        return {
            "condition": self.condition,
            "measure": self.measure,
            "behaviour": self.behaviour,
            "fraction_of_training": self.fraction,
            "steps": self.steps,
            "spearman_inside": number(self.inside.value),
            "spearman_inside_low": number(self.inside.low),
            "spearman_inside_high": number(self.inside.high),
            "spearman_behaviour": number(self.competitor.value),
            "spearman_behaviour_low": number(self.competitor.low),
            "spearman_behaviour_high": number(self.competitor.high),
            "corrected_inside": number(self.corrected(0)),
            "corrected_behaviour": number(self.corrected(1)),
            "reliability_inside": number(self.reliabilities[0]),
            "reliability_behaviour": number(self.reliabilities[1]),
            "difference": number(difference.value),
            "low": number(difference.low),
            "high": number(difference.high),
            "p": number(self.p),
            "p_holm": number(self.adjusted),
            "outcome": self.outcome,
            "agents": self.agents,
        }


def forecasts_of(series: Series, measures: tuple[str, ...], registered: Registered) -> list[Forecast]:
    """Return the forecasts of measures at all registered fractions, against both measures of behaviour.

    Holm's correction is over all inside measures and fractions, for each competitor; other measures are not corrected.

    Args:
        series: the condition.
        measures: the measures; those that were not measured at a checkpoint are left out.
        registered: the registered settings.
    """
    kept = series.kept(registered)
    final, agents = series.final[kept], int(kept.sum())
    if agents < registered.fewest_agents:
        return []
    found: list[Forecast] = []
    for behaviour in COMPETITORS:
        rows = []
        for fraction in registered.fractions:
            column = series.checkpoint(fraction)
            theirs = spearman(series.scores(behaviour)[kept, column], final, registered.resamples)
            for measure in measures:
                scores = series.scores(measure)[kept, column]
                if not np.isfinite(scores).all():
                    continue
                reliabilities = tuple(
                    reliability(series, name, at, kept)
                    for name, at in ((measure, column), (behaviour, column), (FINAL, -1))
                )
                rows.append(
                    Forecast(
                        series.run.condition,
                        measure,
                        behaviour,
                        fraction,
                        series.run.steps[column],
                        agents,
                        spearman(scores, final, registered.resamples),
                        theirs,
                        (reliabilities[0], reliabilities[1], reliabilities[2]),
                        registered.level,
                        registered.lowest_reliability,
                    )
                )
        found += _with_holm(rows, series)
    return found


def is_copy(series: Series, measure: str) -> bool:
    """Return whether a measure is the primary one by construction and no comparison of its own."""
    return measure == COPY and not any(side.companions for side in sides_of(neutral(series.run.family)))


def _with_holm(rows: list[Forecast], series: Series) -> list[Forecast]:
    tested = [one for one in rows if one.measure in INSIDE and not is_copy(series, one.measure)]
    adjusted = dict(zip(map(id, tested), holm([one.p for one in tested]), strict=True))
    return [dataclasses.replace(one, adjusted=adjusted.get(id(one), math.nan)) for one in rows]


def reliability(series: Series, measure: str, column: int, kept: NDArray[np.bool_]) -> float:
    """Return the split-half reliability of a measure over agents, by Spearman and Brown; NaN without halves."""
    even, odd = (half[kept, column] for half in series.halves(measure))
    return spearman_brown(even, odd)


def spearman_brown(even: Numbers, odd: Numbers) -> float:
    """Return the reliability of the mean of two halves [n] over n agents; NaN where it is not defined."""
    if not (np.isfinite(even).all() and np.isfinite(odd).all()) or even.std() == 0 or odd.std() == 0:
        return math.nan
    correlation = float(np.corrcoef(even, odd)[0, 1])
    return 2 * correlation / (1 + correlation) if correlation > -1 else math.nan


def never_forecasts(rows: list[Forecast]) -> bool:
    """Return whether the correlations of a measure have intervals that contain 0 at every fraction."""
    return bool(rows) and all(one.inside.contains_zero for one in rows)
