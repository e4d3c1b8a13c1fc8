"""The rules of a family as numbers: one row of a table for each object slot, read by the kernels.

The columns below are the whole rule language. A rule that no column expresses needs a new column here and a line in
`goalmaze.envs.engine.kernels`.
"""

from __future__ import annotations

(
    REWARD,
    CUE_REWARD,
    ENDS,
    VANISHES,
    GIVES,
    NEEDS,
    SPARES,
    AFTER,
    LAMP,
    WHILE_LIT,
    REQUIRED,
    MOTION,
    PLANE,
    SECOND_PLANE,
    VALUE,
    FILLS,
    VISIBLE_STEPS,
) = range(17)
"""The columns of a slot's row:

- `REWARD`, `CUE_REWARD`: true and cue reward of entering the object.
- `ENDS`: 1 where entering it ends the episode.
- `VANISHES`: 1 where the object disappears once entered.
- `GIVES`: 1 where it is an item that the agent holds from then on.
- `NEEDS`: 1 where entering it uses up an item, and has no effect without one.
- `SPARES`: 1 where entering it with an item uses up the item instead of giving the reward.
- `AFTER`: the slot that must have been entered before, or -1.
- `LAMP`, `WHILE_LIT`: the slot of a lamp on which it depends, or -1; 1 where the lamp must be lit, 0 where it must not.
- `REQUIRED`: 1 where the episode ends once all required objects are entered or out of reach.
- `MOTION`: how it moves.
- `PLANE`, `SECOND_PLANE`: the observation planes it shows on, or -1.
- `VALUE`: its value in these planes.
- `FILLS`: 1 where it fills these planes.
- `VISIBLE_STEPS`: number of first observations of an episode in which it shows, 0 where it shows in all of them.

In every step the agent moves first. Then, slot after slot, the object moves, and it is entered if the agent stands on
it and has not entered it with effect before.
"""

COLUMNS = 17

STILL, WANDERS, CHASES, LEADS, MISLEADS = range(5)
"""How an object moves: not at all; at random; towards the agent; to the required objects in the order of their slots;
or to them in the reverse order.

Walls stop an object. An object that wanders or chases stays on the agent's cell. One that chases moves along the longer
of its two distances, vertically where they are equal. One that leads takes a shortest path, of several the first in the
order of the actions, and stops at the last object.
"""
