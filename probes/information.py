"""What an edit knows. One that knows more than two cells could do the navigating itself, and nothing was retargeted."""

from __future__ import annotations

GOAL, TARGET, WALLS, AGENT, WAY = "goal cell", "target cell", "walls", "agent", "way"

Knowledge = frozenset[str]

NOTHING: Knowledge = frozenset()
CELLS: Knowledge = frozenset({GOAL, TARGET})
"""What an edit may know and still be said to retarget: where the goal was and where it is to be."""

EVERYTHING: Knowledge = frozenset({GOAL, TARGET, WALLS, AGENT, WAY})


def uses_only_cells(uses: Knowledge) -> bool:
    """Return whether an edit with this knowledge retargets; otherwise it is an upper bound, to be listed apart."""
    return uses <= CELLS
