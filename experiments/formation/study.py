"""The study of goal formation: forecasts, alarms and stops of all its conditions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.formation.alarms import (
    NEVER,
    AlarmTest,
    Moments,
    compare_alarms,
    control_alarms,
    enough_controls,
    first_alarms,
)
from goalmaze.experiments.formation.forecasts import (
    COMPETITORS,
    Forecast,
    forecasts_of,
    is_copy,
    never_forecasts,
    reliability,
)
from goalmaze.experiments.formation.measures.all import (
    ALONG_TRAINING,
    CAPABILITY,
    COARSE,
    FINAL,
    INSIDE,
    PRIMARY,
    SENSITIVE,
)
from goalmaze.experiments.formation.registration import Registered, registered, registered_controls
from goalmaze.experiments.formation.series import DEFAULT_CACHE, Run, Series, load_run, measure_run
from goalmaze.experiments.formation.stops import StopRow, stop_rows
from goalmaze.experiments.formation.watch import Forecaster, forecaster_for
from goalmaze.experiments.statistics.comparisons import holm
from goalmaze.probes.audit.pool import make_pool

FORECAST = tuple(dict.fromkeys((*INSIDE, "probe-gap")))
"""The measures that are compared with behaviour."""

RELIABLE = 0.96
"""Reliability from which the noise of a measure is below a fifth of the spread between agents."""


@dataclasses.dataclass(frozen=True, eq=False)
class Condition:
    """A condition with its control and all that was found.

    Attributes:
        series: its measures along training.
        control: those of its control; None where it has none.
        forecasts: of the final preference.
        alarms: measure → int64 [A], the alarms of the agents that are kept; empty without a test of alarms.
        false_alarms: measure → int64 [n], the alarm of each control against the others.
        stops: what stopping by the forecast would have saved.
    """

    series: Series
    control: Series | None
    forecasts: tuple[Forecast, ...]
    alarms: Mapping[str, Moments]
    false_alarms: Mapping[str, Moments]
    stops: tuple[StopRow, ...]

    @property
    def name(self) -> str:
        """The name of the condition."""
        return self.series.run.condition


@dataclasses.dataclass(frozen=True, eq=False)
class Formation(Result):
    """The result of the study.

    Attributes:
        conditions: all conditions that are no control of another.
        tests: which alarm sounds first, for every inside measure and both competitors.
        registered: the registered thresholds.
        untrained: registered conditions that were not given.
        pictures: the files that were drawn.
    """

    conditions: tuple[Condition, ...]
    tests: tuple[AlarmTest, ...]
    registered: Registered
    untrained: tuple[str, ...] = ()
    pictures: tuple[Path, ...] = ()

    @property
    def forecasts(self) -> list[Forecast]:
        """The forecasts of all conditions."""
        return [row for one in self.conditions for row in one.forecasts]

    def json(self) -> JsonObject:
        """Return all rows as plain data."""
        return {
            "rows": [one.json() for one in self.forecasts],
            "alarm_tests": [one.json() for one in self.tests],
            "alarms": [row for one in self.conditions for row in _alarm_json(one)],
            "stops": [row.json() for one in self.conditions for row in one.stops],
            "conditions": [self._condition_json(one) for one in self.conditions],
            "not_given": list(self.untrained),
            "pictures": [str(path) for path in self.pictures],
        }

    def _condition_json(self, condition: Condition) -> JsonObject:
        series, kept = condition.series, condition.series.kept(self.registered)
        return {
            "condition": condition.name,
            "control": None if condition.control is None else condition.control.run.condition,
            "agents": int(kept.sum()),
            "excluded": int((~kept).sum()),
            "steps": list(series.run.steps),
            "agent_names": list(series.run.agents),
            "final_preference": [number(one) for one in series.final],
            "capability": [number(one) for one in series.scores(CAPABILITY)[:, -1]],
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return what was given, and the tables."""
        parts: list[str | Table] = [self._summary()]
        if self.forecasts:
            parts += [self.forecast_table(name) for name in COMPETITORS]
            parts.append(self.reliability_table())
        if self.tests:
            parts += [self.alarm_table(), self.false_alarm_table()]
        if any(one.stops for one in self.conditions):
            parts.append(self.stop_table())
        return parts

    def _summary(self) -> str:
        lines = []
        for one in self.conditions:
            kept = one.series.kept(self.registered)
            final = one.series.final
            control = f"control {one.control.run.condition}" if one.control else "no control, so no test of alarms"
            lines.append(
                f"{one.name}: {kept.sum()} agents ({(~kept).sum()} excluded), {len(one.series.run.steps)} checkpoints, "
                f"final preference for the cue {final.min():.2f} to {final.max():.2f} (mean {final.mean():.2f}, "
                f"SD {final.std():.2f}); {control}"
            )
        if self.untrained:
            lines.append(f"registered conditions that were not given: {', '.join(self.untrained)}")
        lines += [f"drew {path}" for path in self.pictures]
        return "\n".join(lines)

    def forecast_table(self, behaviour: str) -> Table:
        """Return one row for each condition, measure and fraction: its correlation beside that of behaviour."""
        rows = [
            [
                one.condition,
                one.measure,
                f"{one.fraction:.0%}",
                one.inside,
                one.competitor,
                one.difference,
                formatted(one.adjusted, ".3f"),
                one.outcome if one.adjusted == one.adjusted else "-",
            ]
            for one in self.forecasts
            if one.behaviour == behaviour
        ]
        headers = ["condition", "measure", "training", "Spearman inside", f"{behaviour}", "difference", "p", "outcome"]
        return Table(headers, rows, f"forecast of the final preference, against {behaviour}")

    def reliability_table(self) -> Table:
        """Return the split-half reliabilities at each fraction, with the corrected correlations."""
        rows: list[list[object]] = []
        for condition in self.conditions:
            kept = condition.series.kept(self.registered)
            for fraction in self.registered.fractions:
                column = condition.series.checkpoint(fraction)
                chosen = {
                    one.measure: one
                    for one in condition.forecasts
                    if one.fraction == fraction and one.behaviour == SENSITIVE
                }
                if PRIMARY not in chosen:
                    continue
                row = chosen[PRIMARY]
                values = [reliability(condition.series, name, column, kept) for name in (PRIMARY, SENSITIVE, COARSE)]
                final = reliability(condition.series, FINAL, -1, kept)
                numbers = [formatted(one, ".2f") for one in (*values, final, row.corrected(0), row.corrected(1))]
                rows.append([condition.name, f"{fraction:.0%}", *numbers])
        headers = ["condition", "training", PRIMARY, SENSITIVE, COARSE, "final preference"]
        return Table(
            [*headers, f"corrected {PRIMARY}", f"corrected {SENSITIVE}"],
            rows,
            f"split-half reliability over levels (noise below a fifth of the spread from {RELIABLE} on) and corrected "
            "Spearman correlations",
        )

    def alarm_table(self) -> Table:
        """Return which alarm sounds first, one row for each condition, inside measure and competitor."""
        rows = [
            [
                one.condition,
                one.inside,
                one.behaviour,
                one.agents,
                one.inside_sounds,
                one.behaviour_sounds,
                one.first,
                one.later,
                formatted(one.adjusted, ".3f"),
                one.outcome,
            ]
            for one in self.tests
        ]
        headers = ["condition", "inside", "behaviour", "agents", "inside sounds", "behaviour sounds", "first", "later"]
        return Table([*headers, "p", "outcome"], rows, "which alarm sounds first")

    def false_alarm_table(self) -> Table:
        """Return how many controls sound an alarm at any checkpoint, against the other controls."""
        rows = [
            [one.control.run.condition, measure, len(alarms), int((alarms < NEVER).sum())]
            for one in self.conditions
            if one.control is not None
            for measure, alarms in one.false_alarms.items()
        ]
        return Table(
            ["control", "measure", "runs", "alarms"], rows, "alarms in controls, over all checkpoints (one at most)"
        )

    def stop_table(self) -> Table:
        """Return what stopping by the forecast would have saved."""
        rows = [
            [
                one.condition,
                one.rule,
                one.method,
                one.agents,
                one.stopped,
                one.rightly,
                one.reaching,
                formatted(one.median_fraction, ".2f"),
                formatted(one.saved, ".2f"),
            ]
            for condition in self.conditions
            for one in condition.stops
        ]
        headers = ["condition", "rule", "method", "agents", "stopped", "rightly", "reach it", "median stop", "saved"]
        return Table(
            headers, rows, "stopping by the forecast: fraction of training at the stop, and of all steps saved"
        )


def study(
    runs: Sequence[str], *, controls: Mapping[str, str] | None = None, cache: Path | None = None, costly: bool = True
) -> Formation:
    """Measure runs along training and test the registered questions on them.

    Args:
        runs: run folders with a series of checkpoints, of populations or of single agents. Registered conditions are
            known by the name of their folder.
        controls: run → its control, beside the registered ones.
        cache: the folder that keeps measurements; `DEFAULT_CACHE` by default.
        costly: whether the local learning coefficient is computed.

    Raises:
        GoalmazeError: there is no such run, it has no series of checkpoints, or two runs have one name.
    """
    given, kept = registered(), MeasurementCache(cache or DEFAULT_CACHE)
    loaded: dict[str, Run] = {}
    for name in dict.fromkeys([*runs, *(controls or {}).values()]):
        run = load_run(name)
        if run.condition in loaded:
            raise GoalmazeError(f"two runs are named {run.condition}: rename a folder")
        loaded[run.condition] = run
    known = {one: other for one, other in registered_controls().items() if one in loaded and other in loaded}
    known |= {Path(one).name: Path(other).name for one, other in (controls or {}).items()}
    # Nothing is forecast in a control, so the coefficient is not needed there.
    series = {
        name: measure_run(run, kept, given, costly=costly and name not in known.values())
        for name, run in loaded.items()
    }
    measured = [one for name, one in series.items() if name not in known.values()]
    conditions = [condition_of(one, series.get(known.get(one.run.condition, "")), given) for one in measured]
    missing = [name for name in registered_controls() if name not in series] if any(known) else []
    return Formation(tuple(conditions), alarm_tests(conditions, given), given, tuple(missing))


def condition_of(series: Series, control: Series | None, given: Registered) -> Condition:
    """Return a condition with its forecasts, alarms and stops.

    Raises:
        GoalmazeError: the control has checkpoints after other steps.
    """
    alarms: dict[str, Moments] = {}
    false_alarms: dict[str, Moments] = {}
    kept = series.kept(given)
    if control is not None:
        if control.run.steps != series.run.steps:
            raise GoalmazeError(
                f"{control.run.condition} has checkpoints after other steps than {series.run.condition}: train both "
                "with the same --steps and --series"
            )
        if enough_controls(len(control.run.agents), given):
            for measure in ALONG_TRAINING:
                if measure in series.measures and measure in control.measures and measure != CAPABILITY:
                    alarms[measure] = first_alarms(series.scores(measure)[kept], control.scores(measure))
                    false_alarms[measure] = control_alarms(control.scores(measure))
    return Condition(
        series,
        control,
        tuple(forecasts_of(series, FORECAST, given)),
        alarms,
        false_alarms,
        tuple(stop_rows(series, _forecaster(series.run, given))),
    )


def _forecaster(run: Run, given: Registered) -> Forecaster:
    pool = make_pool(run.family, run.networks(run.steps[0])[0].shape.spec, given.pool_levels)
    return forecaster_for(pool)


def alarm_tests(conditions: Sequence[Condition], given: Registered) -> tuple[AlarmTest, ...]:
    """Return the sign tests of all conditions.

    The primary one is corrected over conditions, the others over the measures of their condition.
    """
    tested = [one for one in conditions if one.alarms and one.series.kept(given).sum() >= given.fewest_agents]

    def tests(condition: Condition, measures: Sequence[str], behaviour: str) -> list[AlarmTest]:
        pairs = [(name, (condition.alarms[name], condition.alarms[behaviour])) for name in measures]
        return [compare_alarms(condition.name, name, behaviour, pair, given.level) for name, pair in pairs]

    found = _with_holm([test for one in tested for test in tests(one, [PRIMARY], SENSITIVE)])
    for one in tested:
        others = [name for name in one.alarms if name in INSIDE and name != PRIMARY and not is_copy(one.series, name)]
        found += _with_holm(tests(one, others, SENSITIVE))
        found += _with_holm(tests(one, [PRIMARY, *others], COARSE))
    return tuple(found)


def _with_holm(tests: Sequence[AlarmTest]) -> list[AlarmTest]:
    adjusted = holm([one.p for one in tests])
    return [dataclasses.replace(one, adjusted=p) for one, p in zip(tests, adjusted, strict=True)]


def _alarm_json(condition: Condition) -> list[JsonObject]:
    series = condition.series
    names: Sequence[int] = np.array(series.run.agents)[series.kept(registered())].tolist() if condition.alarms else []
    return [
        {
            "condition": condition.name,
            "measure": measure,
            "agent": str(name),
            "steps": None if moment == NEVER else int(series.run.steps[moment]),
        }
        for measure, moments in condition.alarms.items()
        for name, moment in zip(names, moments, strict=True)
    ]


def never_rows(result: Formation) -> list[tuple[str, str]]:
    """Return condition and measure of the forecasts whose interval contains 0 at every fraction."""
    pairs = dict.fromkeys((one.condition, one.measure) for one in result.forecasts)
    return [
        pair
        for pair in pairs
        if never_forecasts(
            [one for one in result.forecasts if (one.condition, one.measure) == pair and one.behaviour == SENSITIVE]
        )
    ]
