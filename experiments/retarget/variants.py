"""Strength and footprint of an edit: both are varied before an edit is called ineffective."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.experiments.common.tables import Number, Table, formatted
from goalmaze.experiments.retarget import trials
from goalmaze.experiments.retarget.candidates import Candidate, with_footprint
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.experiments.retarget.trials import EVERY, Trial, TrialLabel, run_trial
from goalmaze.probes.edits.patterns import GoalPattern

STRENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
FOOTPRINTS = (1, 3)
"""Rows and columns of squares: only edits of as many squares are compared as methods."""


def variant_trials(
    policy: NetworkPolicy, task: RetargetingTask, one: Candidate, strengths: Sequence[float] = STRENGTHS
) -> Iterator[Trial]:
    """Yield the trials of a candidate at every strength, and of a pattern also on 1x1 and 3x3 squares only."""
    footprints: tuple[int | None, ...] = (None, *(FOOTPRINTS if isinstance(one.fitted_edit, GoalPattern) else ()))
    for footprint in footprints:
        narrow = one if footprint is None else with_footprint(one, footprint)
        for strength in strengths:
            label = TrialLabel(trials.VARIANT, one.site, one.method, EVERY, strength, footprint)
            yield run_trial(label, task, policy, dataclasses.replace(narrow, strength=strength).edits(task))


def variant_table(results: Sequence[Trial]) -> Table:
    """Return the rate of targets reached first where the goal is off the path, one column a strength."""
    strengths = sorted({one.label.strength for one in results if one.label.strength is not None})
    rows: dict[tuple[str, str, str], list[Number]] = {}
    for one in results:
        label = one.label
        footprint = "all" if label.footprint is None else f"{label.footprint}x{label.footprint}"
        key = (label.method or "", label.site or "", footprint)
        rows.setdefault(key, []).append(formatted(one.off_path_rate.value, ".2f"))
    return Table(
        ["method", "site", "squares", *(f"x{strength:g}" for strength in strengths)],
        [[*key, *rates] for key, rates in rows.items()],
        "target off path by strength of the edit and by the squares that its pattern writes",
    )
