"""Object types and placements: what a family's levels hold, and where it stands."""

from __future__ import annotations

import dataclasses

from goalmaze.envs.engine import rules
from goalmaze.envs.errors import GoalmazeError

MOTIONS = {
    "still": rules.STILL,
    "wanders": rules.WANDERS,
    "chases": rules.CHASES,
    "leads": rules.LEADS,
    "misleads": rules.MISLEADS,
}


@dataclasses.dataclass(frozen=True)
class ObjectType:
    """A kind of object: how it looks and what follows from standing on it for the first time.

    Attributes:
        name: what it is called everywhere.
        letter: its sign in ASCII pictures.
        colour: red, green, blue for people, 0 to 255.
        shape: how it is drawn, a name known to `goalmaze.envs.rendering`.
        planes: names of the observation planes it shows on, at most two; its own name where not given. Kinds that share
            a plane look alike there.
        ends: whether it ends the episode.
        reward: true reward.
        cue_reward: what an agent after the cue would count.
        vanishes: whether it is gone afterwards.
        gives: whether it is an item that the agent then holds; items held show along the top wall.
        needs: whether it takes an item, and does nothing without.
        spares: whether an item held is used up instead of the reward.
        required: whether the episode ends once all required objects are entered, or no item is left for the others.
        after: the kind of object that must have been entered before, if any; without, entering does nothing.
        lamp: the kind of lamp on which it depends, if any.
        while_lit: whether it counts while that lamp is in the level, or while it is not.
        motion: one of `MOTIONS`.
        fills: whether it shows on all of its planes instead of on its cell.

    Example:
        >>> import goalmaze as gm
        >>> gm.ObjectType("door", letter="D", colour=(213, 94, 0), shape="door", ends=True, reward=1.0).shows_on
        ('door',)
    """

    name: str
    letter: str
    colour: tuple[int, int, int]
    shape: str
    planes: tuple[str, ...] | None = None
    ends: bool = False
    reward: float = 0.0
    cue_reward: float = 0.0
    vanishes: bool = False
    gives: bool = False
    needs: bool = False
    spares: bool = False
    required: bool = False
    after: str | None = None
    lamp: str | None = None
    while_lit: bool = True
    motion: str = "still"
    fills: bool = False

    @property
    def shows_on(self) -> tuple[str, ...]:
        """The planes it shows on."""
        return (self.name,) if self.planes is None else self.planes


@dataclasses.dataclass(frozen=True)
class Placement:
    """One rule of a level distribution: put this thing there.

    Attributes:
        kind: of the object, or "agent".
        which: number of the slot among those of its kind.
        on: with probability `chance`, stand on the cell of this thing, placed before. Otherwise, and where `on` is
            None, on a free cell drawn uniformly among those that nothing placed so far stands on.
        on_which: number of the slot among those of the kind `on`.
        chance: how often `on` holds; where `on` is None, how often the thing is in the level at all.
        region: draw the cell from the free ones among the n x n cells in the top right corner, from more where all of
            them are walls; other objects, but not the agent, may stand there already. From the whole maze where 0.
        in_corner: stand on the very cell in that corner, or on the free cell nearest to it.
        aside_from: draw a free cell that the agent does not have to pass on its way to this thing, placed before, and
            leave the thing out where there is none. All that was placed before counts as in the way.

    Example:
        >>> import goalmaze as gm
        >>> gm.Placement("sign", on="exit").chance
        1.0
    """

    kind: str
    which: int = 0
    on: str | None = None
    on_which: int = 0
    chance: float = 1.0
    region: int = 0
    in_corner: bool = False
    aside_from: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 1:
            raise GoalmazeError(f"chance of the placement of '{self.kind}' is {self.chance}: choose 0 to 1")


AGENT = "agent"
