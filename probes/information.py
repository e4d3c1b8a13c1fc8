"""The facts that an edit was given. An edit that is given walls or paths could navigate itself."""

from __future__ import annotations

Facts = frozenset[str]

GOAL, TARGET = "goal cell", "target cell"
WALLS, AGENT, PATH = "walls", "agent", "path"

ACTIVATION = "activation"
"""The activation that is edited: the change depends on it."""

PATH_LABELS = "path labels in training"
"""Shortest paths of the fitting levels were the training signal; the edit itself receives none."""

NOTHING: Facts = frozenset()
CELLS: Facts = frozenset({GOAL, TARGET})
EVERYTHING: Facts = frozenset({GOAL, TARGET, WALLS, AGENT, PATH, ACTIVATION, PATH_LABELS})

ALLOWED: Facts = CELLS | {ACTIVATION, PATH_LABELS}
"""What an edit may use and still retarget the agent: nothing about the evaluation maze but two cells."""


def uses_only_cells(facts: Facts) -> bool:
    """Return whether an edit gets no more of a maze than two cells; otherwise it is an oracle, reported separately."""
    return facts <= ALLOWED
