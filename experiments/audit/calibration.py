"""From scores to a predicted preference: linear calibrations, fitted on agents whose preference was measured.

A calibration belongs to one method and one group of families, see `AuditPool.group`. It predicts the logit of the
preference from the method's score, or from its features where the method has no direction of its own. Errors are those
of leaving one recipe out, all agents of it together, and the interval of a prediction follows from them: agents of one
recipe resemble each other, and an audit meets agents of recipes that no calibration knows.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.files import write_atomically
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.experiments.statistics.intervals import Z_95
from goalmaze.probes.audit.method import Measurement
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.audit.tiers import Tier

SHIPPED = Path(__file__).with_name("calibration.json")
FORMAT = 1

MOST = 0.97
"""Preferences above this, and below 1 - this, count as this: with few levels they differ by chance."""

MIN_AGENTS = 4
"""Fewest agents for a calibration."""

RESAMPLES = 2000
"""Bootstrap resamples of agents for the lead over the side channels."""

SCORE = "score"

Numbers = NDArray[np.float64]


class MethodCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the numbers of one method predict a preference in one group of families.

    Attributes:
        features: the names of the numbers: "score", or the method's features.
        means: of each number over the agents.
        scales: standard deviation of each.
        weights: of each, in units of its scale, on the logit of the preference.
        intercept: logit at the means.
        spread: root mean square error of the logit, leaving one recipe out.
        error: mean absolute error of the preference, leaving one recipe out.
        lead: by how much the error is smaller than that of the best side channel, on the same agents.
        lead_low: lower end of the 95 % bootstrap interval of the lead over agents.
        lead_high: upper end.
        agents: number of agents.
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    spread: float
    error: float
    lead: float
    lead_low: float
    lead_high: float
    agents: int

    def logit(self, measurement: Measurement) -> float:
        """Return the predicted logit of the preference for the cue."""
        numbers = (_numbers(measurement, self.features) - np.array(self.means)) / np.array(self.scales)
        return float(self.intercept + numbers @ np.array(self.weights))


class FittedAgent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An agent that a calibration was fitted on.

    Attributes:
        agent: its name.
        group: its group of families.
        preference: its measured preference for the cue under the distinguishing shift.
    """

    agent: str
    group: str
    preference: float


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The calibrations of all methods.

    Attributes:
        format: version of the format.
        provisional: whether a group of families was fitted on few single agents, without a population.
        levels: number of levels of the pools.
        fitted_on: the agents.
        groups: group of families → method → its calibration.
    """

    format: int
    provisional: bool
    levels: int
    fitted_on: tuple[FittedAgent, ...]
    groups: dict[str, dict[str, MethodCalibration]]

    def find(self, group: str, method: str) -> MethodCalibration | None:
        """Return the calibration of a method in a group; None where there is none."""
        return self.groups.get(group, {}).get(method)

    def only(self, method: str) -> Calibration:
        """Return the calibration of one method alone, so that predictions come from it.

        Raises:
            GoalmazeError: the method is not calibrated in any group.
        """
        groups = {group: {method: fits[method]} for group, fits in self.groups.items() if method in fits}
        if not groups:
            raise unknown("calibrated method", method, sorted({name for fits in self.groups.values() for name in fits}))
        return msgspec.structs.replace(self, groups=groups)

    def best(self, group: str, tier: Tier, available: Mapping[str, Measurement]) -> str | None:
        """Return the method with the smallest error among those that a tier allows and that apply.

        A side channel is chosen only where nothing else is calibrated.
        """
        known = audit_methods()
        candidates = [
            (known[name].side_channel, one.error, name)
            for name, one in self.groups.get(group, {}).items()
            if name in available and name in known and known[name].tier <= tier
        ]
        return min(candidates)[2] if candidates else None


@dataclasses.dataclass(frozen=True)
class Example:
    """What the methods found in an agent whose preference was measured.

    Attributes:
        agent: its name.
        group: its group of families.
        preference: measured, for the cue.
        measurements: method → what it found.
        recipe: what it shares with the agents that are left out together with it; by default each is left out alone.
    """

    agent: str
    group: str
    preference: float
    measurements: Mapping[str, Measurement]
    recipe: str = ""


@functools.lru_cache(maxsize=1)
def shipped_calibration() -> Calibration:
    """Return the calibration that comes with the package."""
    return load_calibration(SHIPPED)


def load_calibration(path: Path) -> Calibration:
    """Read a calibration file.

    Raises:
        GoalmazeError: the file is missing, damaged or of another format.
    """
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Calibration)
    except (OSError, msgspec.DecodeError) as error:
        raise GoalmazeError(f"cannot read calibration {path}: {error}") from None
    if found.format != FORMAT:
        raise GoalmazeError(f"calibration {path} has format {found.format}, this version reads {FORMAT}")
    return found


def save_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration file."""
    data = msgspec.json.encode(calibration)
    write_atomically(path, (json.dumps(_rounded(json.loads(data)), indent=1) + "\n").encode())


def fit_calibration(examples: Sequence[Example], levels: int, *, provisional: bool) -> Calibration:
    """Fit the calibrations of all methods in all groups that have enough agents.

    Args:
        examples: agents with their measured preference.
        levels: number of levels of the pools.
        provisional: see `Calibration`.
    """
    groups: dict[str, dict[str, MethodCalibration]] = {}
    for group in dict.fromkeys(one.group for one in examples):
        members = [one for one in examples if one.group == group]
        fits = {name: fit for name in audit_methods() if (fit := fit_method(name, members)) is not None}
        if fits:
            groups[group] = {name: _with_lead(name, fits) for name in fits}
    fitted_on = tuple(FittedAgent(one.agent, one.group, one.preference) for one in examples)
    return Calibration(FORMAT, provisional, levels, fitted_on, groups)


@dataclasses.dataclass(frozen=True, eq=False)
class MethodFit:
    """A fit of one method.

    Attributes:
        calibration: without its lead.
        left_out: agent → its predicted logit by a fit without that agent and all others of its recipe.
        errors: agent → absolute error of the preference of such predictions.
    """

    calibration: MethodCalibration
    left_out: Mapping[str, float]
    errors: Mapping[str, float]


def fit_method(method: str, examples: Sequence[Example]) -> MethodFit | None:
    """Fit the calibration of one method; None where it applies to fewer than `MIN_AGENTS` agents or to one recipe."""
    members = [one for one in examples if method in one.measurements]
    if len(members) < MIN_AGENTS or len({one.recipe or one.agent for one in members}) < 2:
        return None
    found = [one.measurements[method] for one in members]
    # Networks differ in the numbers that they have, such as their layers.
    common = [name for name in found[0].features if all(name in one.features for one in found)]
    features = (SCORE,) if found[0].score is not None else tuple(common)
    inputs = np.array([_numbers(one.measurements[method], features) for one in members])
    preferences = np.array([one.preference for one in members])
    logits = np.array([to_logit(one) for one in preferences])
    left_out = _left_out(
        inputs, logits, np.unique([one.recipe or one.agent for one in members], return_inverse=True)[1]
    )
    errors = np.abs(from_logits(left_out) - preferences)
    means, scales, weights, intercept = ridge(inputs, logits)
    spread = float(np.sqrt(np.square(left_out - logits).mean()))
    # msgspec writes Python's numbers and no numpy scalars.
    calibration = MethodCalibration(
        features=features,
        means=tuple(map(float, means)),
        scales=tuple(map(float, scales)),
        weights=tuple(map(float, weights)),
        intercept=intercept,
        spread=spread,
        error=float(errors.mean()),
        lead=0.0,
        lead_low=0.0,
        lead_high=0.0,
        agents=len(members),
    )
    names = [one.agent for one in members]
    return MethodFit(
        calibration,
        dict(zip(names, map(float, left_out), strict=True)),
        dict(zip(names, map(float, errors), strict=True)),
    )


def _left_out(inputs: Numbers, targets: Numbers, recipes: NDArray[np.intp]) -> Numbers:
    """Return the prediction for each agent [n] by a fit without the agents of its recipe; `recipes` numbers them."""
    result = np.empty(len(inputs))
    for recipe in range(int(recipes.max()) + 1):
        out = recipes == recipe
        means, scales, weights, intercept = ridge(inputs[~out], targets[~out])
        result[out] = intercept + (inputs[out] - means) / scales @ weights
    return result


def _with_lead(method: str, fits: Mapping[str, MethodFit]) -> MethodCalibration:
    """Return the calibration of a method with its lead over the best side channel, paired by agent."""
    own, known = fits[method], audit_methods()
    rivals = [fit for name, fit in fits.items() if known[name].side_channel and name != method]
    if not rivals:
        return own.calibration
    rival = min(rivals, key=lambda fit: fit.calibration.error)
    differences = np.array([rival.errors[name] - error for name, error in own.errors.items() if name in rival.errors])
    if not len(differences):
        # The side channel applies to other families than the method.
        return own.calibration
    drawn = np.random.default_rng(0).integers(len(differences), size=(RESAMPLES, len(differences)))
    low, high = np.quantile(differences[drawn].mean(axis=1), (0.025, 0.975))
    return msgspec.structs.replace(
        own.calibration, lead=float(differences.mean()), lead_low=float(low), lead_high=float(high)
    )


def ridge(inputs: Numbers, targets: Numbers) -> tuple[Numbers, Numbers, Numbers, float]:
    """Return means, scales, weights and intercept of a ridge regression on standardised inputs [n, F].

    One number is fitted nearly without penalty; the penalty grows with the number of features.
    """
    means, scales = inputs.mean(axis=0), np.maximum(inputs.std(axis=0), 1e-9)
    standard = (inputs - means) / scales
    penalty = (inputs.shape[1] - 1) + 1e-3
    covariance = standard.T @ standard + penalty * np.eye(inputs.shape[1])
    weights = np.linalg.solve(covariance, standard.T @ (targets - targets.mean()))
    return means, scales, weights, float(targets.mean())


def _numbers(measurement: Measurement, features: Sequence[str]) -> Numbers:
    numbers = {SCORE: measurement.score, **measurement.features}
    return np.array([numbers[name] for name in features], np.float64)


def to_logit(preference: float) -> float:
    """Return the logit of a preference, at most that of `MOST` away from 0."""
    kept = min(max(preference, 1 - MOST), MOST)
    return math.log(kept / (1 - kept))


def from_logits(logits: Numbers) -> Numbers:
    """Return the preferences of logits."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -30, 30))), np.float64)


def interval_of(logit: float, spread: float) -> tuple[float, float, float]:
    """Return a preference with the ends of its 95 % prediction interval.

    Args:
        logit: predicted.
        spread: standard error of a prediction, as a logit.
    """
    value, low, high = from_logits(np.array([logit, logit - Z_95 * spread, logit + Z_95 * spread]))
    return float(value), float(low), float(high)


def _rounded(value: object) -> object:
    """Return JSON data with six significant digits in every number."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
