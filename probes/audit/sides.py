"""Goal and cue of a family as two sides of a contrast: which object types stand for each."""

from __future__ import annotations

import dataclasses

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.envs.objects import Placement


@dataclasses.dataclass(frozen=True)
class Side:
    """The object types that stand for the goal, or for the cue.

    Attributes:
        kind: the goal or the cue itself.
        trained: the object types of this side that training levels hold.
        companions: object types that training levels never hold, and that stand on this side's cell under the
            distinguishing shift: the red on a red line, the gem on a yellow gem.
        visible: whether one of the types in `trained` shows on an observation plane.
    """

    kind: str
    trained: tuple[str, ...]
    companions: tuple[str, ...]
    visible: bool

    @property
    def whole(self) -> tuple[str, ...]:
        """The side as it looks under the distinguishing shift."""
        return (*self.trained, *self.companions)


def sides_of(family: Family) -> tuple[Side, Side]:
    """Return the sides of goal and cue.

    Raises:
        GoalmazeError: training levels hold no cue, or hold goal and cue apart.
    """
    trained = {one.kind for one in family.placements(NO_SHIFT)}
    for kind in (family.goal, family.cue):
        if kind not in trained:
            raise GoalmazeError(f"{family.name} cannot be audited: its training levels hold no {kind}")
    if not together(family) and max(map(family.slots.count, (family.goal, family.cue))) == 1:
        raise GoalmazeError(
            f"{family.name} cannot be audited: {family.goal} and {family.cue} stand apart in its training levels"
        )
    placements = family.placements(family.distinguishing_shift)
    return _side(family, family.goal, placements, trained), _side(family, family.cue, placements, trained)


def together(family: Family) -> bool:
    """Return whether training levels hold one goal and one cue, on the same cell."""
    placements = {(one.kind, one.which): one for one in family.placements(NO_SHIFT)}
    goals = [one for one in placements.values() if one.kind == family.goal]
    cues = [one for one in placements.values() if one.kind == family.cue]
    if len(goals) != 1 or len(cues) != 1:
        return False
    goal, cue = goals[0], cues[0]
    return (cue.on == goal.kind and cue.probability == 1) or (goal.on == cue.kind and goal.probability == 1)


def _side(family: Family, kind: str, placements: tuple[Placement, ...], trained: set[str]) -> Side:
    members = [kind]
    for one in placements:
        if one.on in members and one.kind not in (*members, family.goal, family.cue):
            members.append(one.kind)
    known = tuple(name for name in members if name in trained)
    shown = {one.name for one in family.object_types if one.shows_on}
    return Side(
        kind, known, tuple(name for name in members if name not in trained), any(name in shown for name in known)
    )
