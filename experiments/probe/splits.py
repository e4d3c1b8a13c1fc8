"""The levels of `goalmaze probe`: those that probes are fitted on and those that they are evaluated on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.agents.sites import find_site
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import EVALUATION, FITTING, NO_SHIFT, Family
from goalmaze.probes.labels import concept_names
from goalmaze.probes.readout.eigenbasis import MIN_FOR_VALIDATION
from goalmaze.probes.readout.probe_data import ProbeData, gather_probe_data, separating_shift
from goalmaze.probes.readout.site_reader import labelled_mazes
from goalmaze.probes.targets import target_names

ALL = "all"
"""As the only target: every concept of the family."""


@dataclasses.dataclass(frozen=True)
class Distributions:
    """The distributions of the levels of a report on probes.

    Attributes:
        fit_shift: the shift of the levels that were fitted on; "none" is the training distribution.
        shift: the shift of the evaluation levels.
        left_out: concepts without labels on these levels that the caller did not name.
    """

    fit_shift: str
    shift: str
    left_out: tuple[str, ...] = ()

    def json(self) -> JsonObject:
        """Return the distributions as plain data."""
        return {"fit_shift": self.fit_shift, "shift": self.shift, "left_out": list(self.left_out)}

    def heading(self, levels: int, fit_levels: int) -> str:
        """Return the part of a heading that says what was evaluated and fitted on."""
        evaluated, fitted = (
            "the training distribution" if shift == NO_SHIFT else f"shift {shift}"
            for shift in (self.shift, self.fit_shift)
        )
        missing = f"; without labels there: {', '.join(self.left_out)}" if self.left_out else ""
        return f"evaluated on {levels} mazes of {evaluated}, fitted on {fit_levels} others of {fitted}{missing}"


@dataclasses.dataclass(frozen=True, eq=False)
class Splits:
    """What probes are fitted to and what they are evaluated on.

    Attributes:
        fit: of fitting levels.
        evaluation: of evaluation levels.
        distributions: what both were drawn from.
    """

    fit: ProbeData
    evaluation: ProbeData
    distributions: Distributions


def gather_splits(
    agent: Agent,
    targets: Sequence[str],
    sites: Sequence[str],
    *,
    shift: str | None,
    fit_shift: str | None = None,
    size: int | None,
    levels: int,
    fit_levels: int,
    seed: int,
) -> Splits:
    """Return activations and labels to fit probes to and to evaluate them on.

    Arguments are those of `goalmaze.experiments.probe.by_site.probe`.

    Raises:
        GoalmazeError: a site, a target or the shift is unknown, or a target has too few labels.
    """
    family = agent.family.resized(size)
    chosen_sites, chosen_targets = list(sites) or list(agent.sites), _chosen_targets(family, targets)
    # Names are checked before anything is computed: reading activations takes most of the time.
    for site in chosen_sites:
        find_site(agent.network, site)
    same = separating_shift(family)
    if shift is None and fit_shift is not None:
        raise GoalmazeError("fit_shift says what to fit on and needs a shift to evaluate under: give it too")
    distributions = Distributions(same, same) if shift is None else Distributions(fit_shift or NO_SHIFT, shift)
    family.check_addresses(seed, distributions.shift, EVALUATION)
    family.check_addresses(seed, distributions.fit_shift, FITTING)

    def gather(split: str, shift: str, count: int) -> ProbeData:
        batch = family.levels(seed, np.arange(count), shift, split)
        return gather_probe_data(agent.policy, batch, chosen_sites, chosen_targets, seed)

    fit = gather(FITTING, distributions.fit_shift, fit_levels)
    evaluation = gather(EVALUATION, distributions.shift, levels)
    named = () if list(targets) == [ALL] else targets
    return _without_unlabelled(Splits(fit, evaluation, distributions), named)


def _chosen_targets(family: Family, targets: Sequence[str]) -> list[str]:
    concepts = concept_names(family)
    # "all" is no concept, so a family cannot give it another meaning by accident.
    if list(targets) == [ALL]:
        return concepts
    for target in targets:
        if target not in concepts:
            raise unknown("probe target", target, [*concepts, ALL])
    return list(targets) or target_names(family)


def _without_unlabelled(splits: Splits, named: Sequence[str]) -> Splits:
    """Return the splits without concepts that have too few labels, such as an object that a shift removes.

    Raises:
        GoalmazeError: the caller named such a concept, or no concept is left.
    """
    fit, evaluation, distributions = splits.fit, splits.evaluation, splits.distributions
    left_out = [
        name
        for name, labels in fit.labels.items()
        if labelled_mazes(labels) < MIN_FOR_VALIDATION or not labelled_mazes(evaluation.labels[name])
    ]
    missing = [name for name in left_out if name in named] or (left_out if len(left_out) == len(fit.labels) else [])
    if missing:
        name = missing[0]
        raise GoalmazeError(
            f"{labelled_mazes(fit.labels[name])} of {len(fit.levels)} fitting mazes (shift {distributions.fit_shift}) "
            f"and {labelled_mazes(evaluation.labels[name])} of {len(evaluation.levels)} evaluation mazes (shift "
            f"{distributions.shift}) have a label of '{name}'; a probe needs {MIN_FOR_VALIDATION} and 1: choose "
            "another shift or other targets"
        )

    def kept(data: ProbeData) -> ProbeData:
        return dataclasses.replace(data, labels={k: v for k, v in data.labels.items() if k not in left_out})

    return Splits(kept(fit), kept(evaluation), dataclasses.replace(distributions, left_out=tuple(left_out)))
