"""Object types and placements: which objects a family's levels hold, and where they are put."""

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
    """A type of object: how it looks, and what happens when the agent enters its cell for the first time.

    Attributes:
        name: its name in levels, options and results.
        letter: its letter in ASCII pictures.
        colour: red, green and blue in pictures, 0 to 255.
        shape: its shape in pictures, one of `goalmaze.envs.rendering.SHAPES`.
        planes: names of the observation planes on which it shows, at most two; by default one of its own name. Types
            that share a plane look alike there.
        ends: whether entering it ends the episode.
        reward: true reward of entering it.
        cue_reward: cue reward of entering it, which counts for an agent that follows the cue.
        vanishes: whether it disappears once entered.
        gives: whether it is an item that the agent holds from then on; items held show along the top wall.
        needs: whether entering it uses up an item, and has no effect without one.
        spares: whether an item held is used up instead of the reward.
        required: whether the episode ends once all required objects are entered, or no item is left for the others.
        after: name of the object type that must have been entered before; otherwise entering has no effect.
        lamp: name of the lamp on which it depends, if any.
        while_lit: whether it has effects while that lamp is in the level (True), or while it is not (False).
        motion: one of `MOTIONS`.
        fills: whether it fills its planes instead of showing on its cell.

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
        """Names of the observation planes on which it shows."""
        return (self.name,) if self.planes is None else self.planes


@dataclasses.dataclass(frozen=True)
class Placement:
    """One rule of a level distribution: where to put one object, or the agent.

    The rules of a level apply in order, each to what the rules before it have placed.

    Attributes:
        kind: name of the object type, or "agent".
        which: number of the slot among those that hold this type.
        on: name of an object type, or "agent", placed before. The object is put on its cell with `probability`, and
            otherwise on a free cell. Where None, the object is put on a free cell, drawn uniformly from those without
            agent or objects.
        on_which: number of the slot among those that hold the type `on`.
        probability: of `on`; where `on` is None, the probability that the object is in the level at all.
        region: where above 0, the cell is drawn from the free cells of the n x n region in the top right corner, or of
            the smallest larger region that has one; other objects may stand there already, but not the agent.
        in_corner: put it on the cell in the top right corner, or on the free cell nearest to it.
        aside_from: name of an object type placed before. The object is put on a free cell that leaves the agent a path
            to that object around everything placed so far. It is left out where there is no such cell.
        one_of: number of slots, from this one on, of which one is drawn and filled; the others may hold other object
            types. Above 1 it excludes `on`, `region`, `in_corner` and `aside_from`.

    Example:
        >>> import goalmaze as gm
        >>> gm.Placement("sign", on="exit").probability
        1.0
    """

    kind: str
    which: int = 0
    on: str | None = None
    on_which: int = 0
    probability: float = 1.0
    region: int = 0
    in_corner: bool = False
    aside_from: str | None = None
    one_of: int = 1

    def __post_init__(self) -> None:
        places = ("on", "region", "in_corner", "aside_from")
        given = [name for name in places if getattr(self, name)] + ["one_of"] * (self.one_of > 1)
        if len(given) > 1:
            raise GoalmazeError(f"the placement of '{self.kind}' has {' and '.join(given)}: choose one place")
        for name in ("which", "on_which", "region"):
            if getattr(self, name) < 0:
                raise GoalmazeError(
                    f"{name} of the placement of '{self.kind}' is {getattr(self, name)}: choose 0 or more"
                )
        if self.one_of < 1 or (self.one_of > 1 and self.kind == AGENT):
            raise GoalmazeError(f"one_of of the placement of '{self.kind}' is {self.one_of}: choose 1 or more objects")
        if not 0 <= self.probability <= 1:
            raise GoalmazeError(f"probability of the placement of '{self.kind}' is {self.probability}: choose 0 to 1")


AGENT = "agent"
