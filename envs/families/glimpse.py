"""Glimpse: reach an exit that shows in the first observation only, so that the agent must remember where it is.

Why: an agent without memory finds its goal in every observation, so an edit inside it acts as a picture of the goal
does. Here no later observation holds the goal: what sends the agent on is its memory alone, and an edit of the memory
tests whether a goal was rewritten. Agents with a memory that plan are those of Bush et al., "Interpreting Emergent
Planning in Model-Free Reinforcement Learning" (ICLR 2025).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from goalmaze.envs import look
from goalmaze.envs.families.green_exit import GreenExit
from goalmaze.envs.objects import ObjectType, Placement
from goalmaze.envs.registry import register_family

GATE = "gate"


@register_family
@dataclasses.dataclass(frozen=True)
class Glimpse(GreenExit):
    """A maze with an exit and a green sign, as `GreenExit`, which show in the first observation only.

    With two goals, a gate stands on a free cell of its own. Exit and signs take effect once the gate was entered, and
    gate and exit give half of the reward each.

    Attributes:
        visible_steps: number k of first observations in which objects show; the observation after a reset is the
            first. 0 shows objects always, as in `GreenExit`.
        goals: number of goals to be reached in order: 1 for the exit alone, 2 for the gate and then the exit.
    """

    name = "Glimpse"

    visible_steps: int = 1
    goals: int = 1

    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Return the smallest and the largest value of each parameter."""
        return {**super().ranges(), "goals": (1, 2)}

    @property
    def object_types(self) -> tuple[ObjectType, ...]:
        """The types of `GreenExit`; with two goals also the gate, on which the others depend."""
        types = super().object_types
        if self.goals == 1:
            return types
        later = [dataclasses.replace(one, after=GATE, reward=one.reward / 2) for one in types]
        return (*later, ObjectType(GATE, "T", look.PINK, "ring", reward=0.5))

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots of `GreenExit`, and one for the gate."""
        return (*super().slots, *[GATE] * (self.goals - 1))

    def placements(self, shift: str) -> tuple[Placement, ...]:
        """Return the rules of the training distribution (`NO_SHIFT`) or of a named shift."""
        return (*super().placements(shift), *[Placement(GATE)] * (self.goals - 1))
