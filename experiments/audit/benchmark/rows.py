"""The rows of the benchmark: one method on one population, compared with what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.benchmark.fits import KINDS, MAIN, Fits, LeaveOut, ensemble_name, sources
from goalmaze.experiments.audit.benchmark.forecasts import (
    LevelScores,
    calibration_error,
    level_scores,
    risk_coverage,
)
from goalmaze.experiments.audit.benchmark.populations import (
    NORMS_AND_MOMENTS,
    SIDE_CHANNELS,
    MeasuredPopulation,
    tiers,
)
from goalmaze.experiments.audit.benchmark.ranks import Estimate, spearman
from goalmaze.experiments.audit.calibration import fit_method, from_logits
from goalmaze.experiments.common.tables import number
from goalmaze.experiments.evaluate.agent_label import MIN_PREFERENCE
from goalmaze.experiments.statistics.bootstrap import probability_of_superiority
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.audit.tiers import DISTINGUISHING_COUNTS, Tier

Numbers = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """A method on a population, with the fits of one kind.

    Attributes:
        fitted_on: names of the populations of the fits.
        spearman: rank correlation with the measured preference; None where the method has no score.
        baseline: the better of the two side channels; empty where there is none.
        baseline_spearman: its rank correlation.
        ahead: paired difference of both; None for a side channel itself.
        predicted: float64 [n], predicted preferences of the kept agents; None without a calibration.
        calibration_error: of these.
        risk_coverage: of these.
        levels: scores of forecasts of single levels; None where the method scores none.
    """

    fitted_on: tuple[str, ...]
    spearman: Estimate | None
    baseline: str = ""
    baseline_spearman: Estimate | None = None
    ahead: Estimate | None = None
    predicted: Numbers | None = None
    calibration_error: float | None = None
    risk_coverage: Mapping[str, float] | None = None
    levels: LevelScores | None = None

    def json(self) -> JsonObject:
        """Return the comparison as plain data."""
        own = self.spearman
        return {
            "fitted_on": list(self.fitted_on),
            "spearman": None if own is None else number(own.value),
            "low": None if own is None else number(own.low),
            "high": None if own is None else number(own.high),
            "baseline": self.baseline or None,
            "baseline_spearman": None if self.baseline_spearman is None else number(self.baseline_spearman.value),
            "ahead": None if self.ahead is None else self.ahead.json(),
            "brier_skill": None if self.levels is None else number(self.levels.brier_skill.value),
            "level_scores": None if self.levels is None else self.levels.json(),
            "calibration_error": None if self.calibration_error is None else number(self.calibration_error),
            "risk_coverage": None if self.risk_coverage is None else dict(self.risk_coverage),
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One method on one population.

    Attributes:
        population: name of the population.
        method: name of the method.
        tier: its tier.
        agents: number of agents that were tested.
        reason: why there is no result; empty where there is one.
        disqualified: whether it used more than its tier.
        by_kind: kind of fit → the comparison.
        auroc: probability that a cue-follower has a higher score than a goal-follower; None without both.
        worth: the smallest number of distinguishing levels that is ahead of the method; None where none is.
        seconds: mean seconds for one agent.
    """

    population: str
    method: str
    tier: Tier
    agents: int
    reason: str
    disqualified: bool
    by_kind: Mapping[LeaveOut, Comparison]
    auroc: float | None = None
    worth: int | None = None
    seconds: float = float("nan")

    @property
    def main(self) -> Comparison:
        """The comparison with the fits that marks and tables use."""
        return self.by_kind.get(MAIN, Comparison((), None))

    @property
    def value(self) -> float:
        """Spearman's correlation; -inf where there is none, so that a method without result is never the best."""
        return -np.inf if self.main.spearman is None else self.main.spearman.value

    def json(self) -> JsonObject:
        """Return the row as plain data; `fits` has the comparisons with the other kinds of fits."""
        return {
            "population": self.population,
            "method": self.method,
            "tier": str(self.tier),
            "agents": self.agents,
            **self.main.json(),
            "auroc": None if self.auroc is None else number(self.auroc),
            "worth": self.worth,
            "seconds_per_agent": number(self.seconds),
            "disqualified": self.disqualified,
            "reason": self.reason or None,
            "fits": {kind: one.json() for kind, one in self.by_kind.items()},
        }


class PopulationTest:
    """All methods on one population.

    Args:
        target: the population.
        populations: all populations; those that differ from the target calibrate its methods.
    """

    def __init__(self, target: MeasuredPopulation, populations: Sequence[MeasuredPopulation]) -> None:
        self.target = target
        self.fits = {kind: Fits(target, tuple(sources(target, populations, kind))) for kind in KINDS}
        self._estimates: dict[tuple[str, LeaveOut], Estimate | None] = {}
        self._logits: dict[tuple[str, LeaveOut], Numbers | None] = {}

    @cached_property
    def tiers(self) -> dict[str, Tier]:
        """Method → its tier, for registered methods, the side channel of weights and the ensembles."""
        ensembles = {ensemble_name(tier): tier for tier in Tier if tier < Tier.T4}
        return {**tiers(), NORMS_AND_MOMENTS: Tier.T2, **ensembles}

    @cached_property
    def rows(self) -> dict[str, Row]:
        """Method → its row."""
        return {name: self._row(name) for name in self.tiers}

    def logits(self, method: str, kind: LeaveOut = MAIN) -> Numbers | None:
        """Return float64 [n], the predicted logits of the kept agents; None where there is no calibration."""
        key = (method, kind)
        if key not in self._logits:
            fits = self.fits[kind]
            if method in self._ensembles:
                self._logits[key] = fits.ensemble(self._ensembles[method])
            else:
                self._logits[key] = fits.logits(method) if method in self.target.measurements else None
        return self._logits[key]

    def scores(self, method: str, kind: LeaveOut = MAIN) -> Numbers | None:
        """Return float64 [n], the scores of the kept agents; None where there are none."""
        if method in self._ensembles:
            return self.logits(method, kind)
        return self.fits[kind].scores(method) if method in self.target.measurements else None

    def estimate(self, method: str, kind: LeaveOut = MAIN) -> Estimate | None:
        """Return the rank correlation of a method's score with the measured preference."""
        key = (method, kind)
        if key not in self._estimates:
            scores = self.scores(method, kind) if self.target.tested else None
            self._estimates[key] = None if scores is None else spearman(scores, self.target.preferences)
        return self._estimates[key]

    def difference(self, first: str, second: str) -> Estimate | None:
        """Return the paired difference of two methods' correlations; None where one has none."""
        one, other = self.estimate(first), self.estimate(second)
        return None if one is None or other is None else one.minus(other)

    def best(self, tier: Tier) -> str | None:
        """Return the method of a tier with the highest correlation, without side channels and ensembles."""
        known = audit_methods()
        rows = [row for name, row in self.rows.items() if name in known and not known[name].side_channel]
        found = [row for row in rows if row.tier == tier and row.main.spearman is not None]
        return max(found, key=lambda row: row.value).method if found else None

    def own_calibration_error(self, method: str) -> float | None:
        """Return the calibration error of a method that is calibrated on this population, leaving one agent out."""
        fit = fit_method(method, self.target.examples(self.target.group))
        if fit is None or method not in self.target.measurements:
            return None
        logits = np.array([fit.left_out[one.name] for one in self.target.kept])
        return calibration_error(from_logits(logits), self.target.preferences)

    @cached_property
    def _ensembles(self) -> dict[str, list[str]]:
        """Name of an ensemble → the methods that may take part."""
        known = tiers()
        return {
            ensemble_name(tier): [name for name, one in known.items() if one <= tier] for tier in Tier if tier < Tier.T4
        }

    def _row(self, method: str) -> Row:
        target = self.target
        measured = method if method != NORMS_AND_MOMENTS else "weight-moments"
        reason = target.reason(measured) if measured in tiers() else target.refusal
        if not reason and not target.tested:
            reason = f"{len(target.kept)} agents look aligned, too few for a test"
        comparisons = {} if reason else {kind: self._comparison(method, kind) for kind in KINDS}
        if not reason and comparisons[MAIN].spearman is None:
            reason = "no other population gives it weights"
        members = self._ensembles.get(method, ["stem-norms", measured] if method != measured else [measured])
        return Row(
            target.name,
            method,
            self.tiers[method],
            len(target.kept),
            reason,
            measured in target.disqualified,
            comparisons,
            None if reason else self._auroc(method),
            None if reason else self._worth(method),
            sum(target.seconds(name) for name in members),
        )

    def _comparison(self, method: str, kind: LeaveOut) -> Comparison:
        own = self.estimate(method, kind)
        fitted_on = tuple(one.name for one in self.fits[kind].sources)
        channels = {name: found for name in SIDE_CHANNELS if (found := self.estimate(name, kind)) is not None}
        best = max(channels, key=lambda name: channels[name].value) if channels else ""
        side = method == NORMS_AND_MOMENTS or (method in tiers() and audit_methods()[method].side_channel)
        logits = None if own is None else self.logits(method, kind)
        predicted = None if logits is None else from_logits(logits)
        measured = self.target.preferences
        return Comparison(
            fitted_on,
            own,
            best,
            channels.get(best),
            None if own is None or not best or side else own.minus(channels[best]),
            predicted,
            None if predicted is None else calibration_error(predicted, measured),
            None if predicted is None else risk_coverage(predicted, measured),
            None if own is None else self._levels(method, kind),
        )

    def _levels(self, method: str, kind: LeaveOut) -> LevelScores | None:
        data = self.target.level_inputs(method)
        forecast = None if data is None else self.fits[kind].level_forecast(method)
        return None if data is None or forecast is None else level_scores(forecast, data, len(self.target.kept))

    def _auroc(self, method: str) -> float | None:
        scores, measured = self.scores(method), self.target.preferences
        cue, goal = measured >= MIN_PREFERENCE, measured <= 1 - MIN_PREFERENCE
        if scores is None or not cue.any() or not goal.any():
            return None
        return probability_of_superiority(scores[cue], scores[goal])

    def _worth(self, method: str) -> int | None:
        for count in DISTINGUISHING_COUNTS:
            difference = self.difference(f"distinguishing-{count}", method)
            if difference is not None and difference.low > 0:
                return count
        return None
