"""Explanations of decisions scored as predictions: which counterfactual flips the action."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import Agent
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import EVALUATION
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.explain.agreement import (
    Cases,
    auroc,
    auroc_within,
    brier_skill,
    calibrated,
    calibration_curve,
    calibration_error,
    draws,
)
from goalmaze.experiments.explain.benchmark_report import BenchmarkReport, MethodRow
from goalmaze.experiments.explain.units import mixed_levels
from goalmaze.probes.decisions.method import DecisionMethod, Floats, Study
from goalmaze.probes.decisions.moments import drawn_decisions
from goalmaze.probes.decisions.registry import decision_methods

BOTH = "distance-and-margin"
"""The baseline that fits distance and margin together, on the other half of the levels."""

ALL = "mean of agents"

GRID = np.linspace(0, 1, 11)
"""Fractions of the elements at which curves are stored."""

MIN_AUROC, MAX_CALIBRATION_ERROR = 0.75, 0.10
"""A method may be trusted for an agent if the lower end of its AUROC is at least the first, its lead over the best
baseline is above 0 with its whole interval, and its calibration error is at most the second."""


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """One method on one agent.

    Attributes:
        row: what is reported.
        samples: float64 [R], the AUROC in each resample of the levels.
        lead: float64 [R], minus that of the best baseline; empty for baselines.
    """

    row: MethodRow
    samples: Floats
    lead: Floats


def benchmark(agents: Sequence[Agent], *, decisions: int = 400, seed: int = 0) -> BenchmarkReport:
    """Score every method on decisions of agents, one decision a level, half of the levels with goal and cue apart.

    Args:
        agents: the agents.
        decisions: number of decisions of each.
        seed: of levels, actions, elements and counterfactuals.
    """
    scored = {
        agent.name: _of_agent(agent, decisions, seed)
        for agent in progress(list(agents), "explaining decisions", "agent")
    }
    rows = [one.row for each in scored.values() for one in each]
    return BenchmarkReport(decisions, seed, tuple(rows), tuple(_means(scored)))


def _of_agent(agent: Agent, count: int, seed: int) -> list[Scored]:
    """Return every method, and the baselines, on one agent."""
    levels = mixed_levels(agent.family, seed, count, EVALUATION)
    study = Study.of(drawn_decisions(agent.policy, levels, seed), seed)
    cases = Cases(study.flips, study.counterfactuals.rows, len(study.decisions))
    methods = [one for one in decision_methods().values() if not one.refusal(study)]
    scores = {one.name: one.scores(study) for one in methods}
    features = {name: one[:, None] for name, one in scores.items()}
    features[BOTH] = np.stack([scores["distance"], scores["margin"]], axis=1)
    probabilities = {name: calibrated(one, cases) for name, one in features.items()}
    scores[BOTH] = probabilities[BOTH]
    weights = draws(cases.count, seed)
    samples = {name: auroc(one, cases, weights) for name, one in scores.items()}
    values = {name: float(auroc(one, cases)[0]) for name, one in scores.items()}
    baselines = [BOTH, *(one.name for one in methods if one.baseline)]
    best = max(baselines, key=lambda name: values[name])
    curves = {one.name: _curves(study, one) for one in methods}
    result = []
    for name in scores:
        lead = samples[name] - samples[best]
        low, high = _ends(samples[name])
        baseline = name in baselines
        error = calibration_error(probabilities[name], cases)
        lead_low, lead_high = _ends(lead)
        runs = next((one.runs_counterfactuals for one in methods if one.name == name), False)
        trusted = not baseline and not runs and low >= MIN_AUROC and lead_low > 0 and error <= MAX_CALIBRATION_ERROR
        deletion, insertion = curves.get(name, ((), ()))
        row = MethodRow(
            agent=agent.name,
            method=name,
            kind="baseline" if baseline else "runs counterfactuals" if runs else "explanation",
            auroc=values[name],
            low=low,
            high=high,
            decisions=cases.count,
            counterfactuals=len(cases.flips),
            flips=float(cases.flips.mean()),
            auroc_within=auroc_within(scores[name], cases),
            **_by_change(study, scores[name], cases),
            lead=values[name] - values[best],
            lead_low=lead_low,
            lead_high=lead_high,
            calibration_error=error,
            brier_skill=brier_skill(probabilities[name], cases),
            deletion=_area(deletion),
            insertion=_area(insertion),
            trusted=trusted,
            deletion_curve=_on_grid(deletion),
            insertion_curve=_on_grid(insertion),
            calibration_curve=tuple((float(p), float(q)) for p, q, _ in calibration_curve(probabilities[name], cases)),
        )
        result.append(Scored(row, samples[name], lead))
    return result


def _by_change(study: Study, scores: Floats, cases: Cases) -> dict[str, float]:
    """Return the AUROC over the counterfactuals of each type of element."""
    changes = study.counterfactuals
    types = np.array([study.elements[b][e].type for b, e in zip(changes.rows, changes.elements, strict=True)])
    result = {}
    for one in ("object", "wall", "corridor"):
        rows = types == one
        part = Cases(cases.flips[rows], cases.levels[rows], cases.count)
        result[f"auroc_{one}"] = float(auroc(scores[rows], part)[0]) if rows.any() else float("nan")
    return result


def _curves(study: Study, method: DecisionMethod) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the deletion and the insertion curve: the mean probability of the action after each element.

    Deletion leaves out the elements one by one, those with the largest attribution first; insertion puts them back in
    the same order, from the state without any. A good order has a small area under the first and a large one under the
    second.
    """
    attributions = method.attributions(study)
    counts = np.array([len(own) for own in study.elements])
    exists = np.arange(study.most)[None] < counts[:, None]
    # Elements that a decision does not have come last and change nothing.
    order = np.argsort(np.where(exists, -attributions, np.inf), axis=1, kind="stable")
    place = np.argsort(order, axis=1)
    curves = []
    for deleting in (True, False):
        means = []
        for step in range(study.most + 1):
            kept = place >= step if deleting else place < step
            means.append(float(_probability(study, kept).mean()))
        curves.append(tuple(means))
    return curves[0], curves[1]


def _area(curve: Sequence[float]) -> float:
    """Return the area under a curve on [0, 1] by the trapezoidal rule; NaN without one."""
    # numpy before 2.0 has the rule under another name.
    return (sum(curve) - (curve[0] + curve[-1]) / 2) / max(len(curve) - 1, 1) if curve else float("nan")


def _on_grid(curve: Sequence[float]) -> tuple[float, ...]:
    """Return a curve at 0, 0.1, ... 1, so that those of agents with different numbers of elements can be averaged."""
    if not curve:
        return ()
    return tuple(float(one) for one in np.interp(GRID, np.linspace(0, 1, len(curve)), curve))


def _probability(study: Study, kept: NDArray[np.bool_]) -> Floats:
    """Return float64 [B], the probability of each decision's action with only some of the elements."""
    rows = np.arange(len(study.decisions))
    return study.decisions.probabilities_of(study.left_out(rows, kept), rows)


def _ends(samples: Floats) -> tuple[float, float]:
    known = samples[~np.isnan(samples)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def _means(scored: Mapping[str, Sequence[Scored]]) -> list[MethodRow]:
    """Return the mean of each method over the agents that all methods apply to; the interval is over levels."""
    agents = list(scored.values())
    methods = [one.row.method for one in agents[0]]
    rows = []
    for method in methods:
        each = [one for agent in agents for one in agent if one.row.method == method]
        if len(each) < len(agents):
            continue
        samples, leads = (np.mean([getattr(one, name) for one in each], axis=0) for name in ("samples", "lead"))
        first = each[0].row

        def mean(name: str, each: Sequence[Scored] = each) -> float:
            # A type of change may never flip an agent's action, or always.
            known = [number for one in each if not np.isnan(number := getattr(one.row, name))]
            return float(np.mean(known)) if known else float("nan")

        averages: JsonObject = {name: mean(name) for name in _AVERAGED}
        rows.append(
            dataclasses.replace(
                first,
                agent=ALL,
                **averages,
                deletion_curve=_mean_curve([one.row.deletion_curve for one in each]),
                insertion_curve=_mean_curve([one.row.insertion_curve for one in each]),
                calibration_curve=_mean_points([one.row.calibration_curve for one in each]),
                low=_ends(samples)[0],
                high=_ends(samples)[1],
                lead_low=_ends(leads)[0],
                lead_high=_ends(leads)[1],
                decisions=sum(one.row.decisions for one in each),
                counterfactuals=sum(one.row.counterfactuals for one in each),
                trusted=all(one.row.trusted for one in each),
            )
        )
    return rows


def _mean_curve(curves: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Return the mean of curves on one grid; empty where there are none."""
    return tuple(float(one) for one in np.mean(curves, axis=0)) if all(curves) else ()


def _mean_points(curves: Sequence[Sequence[tuple[float, float]]]) -> tuple[tuple[float, float], ...]:
    """Return the mean of points of equally many bins."""
    bins = min(len(curve) for curve in curves)
    return tuple((float(p), float(q)) for p, q in np.mean([curve[:bins] for curve in curves], axis=0))


_AVERAGED = (
    "auroc",
    "flips",
    "auroc_within",
    "auroc_object",
    "auroc_wall",
    "auroc_corridor",
    "lead",
    "calibration_error",
    "brier_skill",
    "deletion",
    "insertion",
)
