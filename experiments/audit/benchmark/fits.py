"""Calibrations, weights and ensembles that are fitted on other populations than the one that they are tested on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from goalmaze.experiments.audit.benchmark.forecasts import LevelForecast, fit_level_forecast, join
from goalmaze.experiments.audit.benchmark.populations import MeasuredPopulation
from goalmaze.experiments.audit.calibration import (
    Example,
    MethodFit,
    fit_method,
    ridge,
    to_logit,
)
from goalmaze.probes.audit.method import Measurement
from goalmaze.probes.audit.tiers import Tier

Numbers = NDArray[np.float64]

LeaveOut = Literal["recipe", "family", "architecture"]
"""What the populations that a fit is made on may not share with the one that it is tested on."""

KINDS: tuple[LeaveOut, ...] = get_args(LeaveOut)

MAIN: LeaveOut = "recipe"
"""The kind that marks and tables use; the others are reported beside it."""


def sources(
    target: MeasuredPopulation, populations: Sequence[MeasuredPopulation], kind: LeaveOut
) -> list[MeasuredPopulation]:
    """Return the populations on which fits for a target are made.

    Those of the target's group of families are used where there are any, otherwise all.

    Args:
        target: the population that is tested.
        populations: all populations.
        kind: what a source may not share with the target.
    """

    def property_of(one: MeasuredPopulation) -> str:
        return {"recipe": one.recipe, "family": one.family, "architecture": one.architecture}[kind]

    others = [
        one
        for one in populations
        if one is not target and one.tested and property_of(one) != property_of(target) and one.recipe != target.recipe
    ]
    return [one for one in others if one.group == target.group] or others


@dataclasses.dataclass(frozen=True, eq=False)
class Fits:
    """What other populations say about the agents of one.

    Attributes:
        target: the population that is tested.
        sources: the populations that the fits are made on.
    """

    target: MeasuredPopulation
    sources: tuple[MeasuredPopulation, ...]
    _calibrations: dict[str, MethodFit | None] = dataclasses.field(default_factory=dict)

    def calibration(self, method: str) -> MethodFit | None:
        """Return the calibration of a method, fitted on all agents of the sources; None where it applies to none."""
        if method not in self._calibrations:
            examples = self._examples(method)
            self._calibrations[method] = fit_method(method, examples) if examples else None
        return self._calibrations[method]

    def logits(self, method: str) -> Numbers | None:
        """Return float64 [n], the predicted logits of the target's agents; None where there is no calibration."""
        fit = self.calibration(method)
        if fit is None:
            return None
        return np.array([fit.calibration.logit(one) for one in self.target.measurements[method]])

    def scores(self, method: str) -> Numbers | None:
        """Return float64 [n], the scores of the target's agents; of a method without a direction, its logits."""
        measurements = self.target.measurements[method]
        if measurements[0].score is None:
            return self.logits(method)
        return np.array([one.score for one in measurements], np.float64)

    def level_forecast(self, method: str) -> LevelForecast | None:
        """Return the forecast of single levels from a method's scores; None where no source has both."""
        parts = [found for one in self.sources if (found := one.level_inputs(method)) is not None]
        return fit_level_forecast(join(parts)) if parts else None

    def ensemble(self, methods: Sequence[str]) -> Numbers | None:
        """Return float64 [n], the predicted logits of an ensemble of methods.

        Each method gives the logit of its calibration. Their weights are fitted on logits that leave one agent of the
        sources out: a method with many features would otherwise fit its own agents too well.

        Args:
            methods: those that may take part. Methods that do not apply to the target and all sources are left out.
        """
        common = [
            name
            for name in methods
            if name in self.target.measurements and all(name in one.measurements for one in self.sources)
        ]
        fits = {name: fit for name in common if (fit := self.calibration(name)) is not None}
        if not fits:
            return None
        examples = self._examples(common[0])
        inputs = np.array([[fit.left_out[one.agent] for fit in fits.values()] for one in examples])
        targets = np.array([to_logit(one.preference) for one in examples])
        means, scales, weights, intercept = ridge(inputs, targets)
        own = np.column_stack(
            [[fit.calibration.logit(one) for one in self.target.measurements[name]] for name, fit in fits.items()]
        )
        return np.asarray(intercept + (own - means) / scales @ weights)

    def _examples(self, method: str) -> list[Example]:
        """Return the agents of the sources that a method applies to, with the features that all have in common."""
        if method not in self.target.measurements:
            return []
        # Names of agents are paths or positions; two populations must not share one.
        examples = [
            dataclasses.replace(one, agent=f"{number}: {one.agent}")
            for number, source in enumerate(self.sources)
            for one in source.examples(self.target.group)
            if method in one.measurements
        ]
        every = [one.measurements[method] for one in examples] + self.target.measurements[method]
        if every[0].score is not None:
            return examples
        common = [name for name in every[0].features if all(name in one.features for one in every)]
        return [
            dataclasses.replace(one, measurements={**one.measurements, method: _only(one.measurements[method], common)})
            for one in examples
        ]


def _only(measurement: Measurement, features: Sequence[str]) -> Measurement:
    return dataclasses.replace(measurement, features={name: measurement.features[name] for name in features})


def ensemble_name(tier: Tier) -> str:
    """Return the name of the ensemble of all methods that a tier allows."""
    return f"ensemble-{tier}"
