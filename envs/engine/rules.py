"""The rules of a family as numbers: one row of a table for each object slot, read by the kernels.

The columns below are the whole rule language. A rule no column expresses wants a new column here and a line in
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
) = range(16)
"""Columns: true and cue reward of entering the slot's object; whether that ends the episode; whether the object is gone
then; whether it gives an item; whether it takes one and does nothing without; whether an item held is used up instead
of the reward; the slot that must have been entered before, or -1; the slot of a lamp it depends on, or -1, and whether
that must be lit (1) or out (0); whether the episode ends once all that are required are taken or out of reach; how it
moves; the planes it shows on, or -1; how strongly; and whether it fills them. In every step the agent moves first;
then, slot after slot, the object moves and, if the agent stands on it and has not entered it with effect before, is
entered."""

COLUMNS = 16

STILL, WANDERS, CHASES, LEADS, MISLEADS = range(5)
"""How an object moves: not at all; at random; towards the agent; to the required objects, in the order of their slots;
or in the reverse order. Walls stop an object. One that wanders or chases stays where the agent stands; one that chases
goes along the longer of its two distances, vertically where they are equal; one that leads takes a shortest way, of
several the one that comes first in the order of the actions, and stops at the last object."""
