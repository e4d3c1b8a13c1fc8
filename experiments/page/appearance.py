"""How objects look, as data that the page draws from."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family
from goalmaze.envs.rendering import shape_mask

MASK_PIXELS = 64
"""Side of the masks of object shapes."""


def packed(values: ArrayLike) -> str:
    """Return numbers from 0 to 1 as base64 of one byte each."""
    return base64.b64encode(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).tobytes()).decode()


def shared_appearance(families: Sequence[Family]) -> JsonObject:
    """Return how the objects of several families look; those of the first where two have the same name."""
    looks = [appearance(family) for family in families]
    types = {name: one for look in reversed(looks) for name, one in look["object_types"].items()}
    return {**looks[0], "object_types": types}


def appearance(family: Family) -> JsonObject:
    """Return how the objects of a family look: colours, and shapes as masks of `MASK_PIXELS` a side."""
    return {
        "mask": MASK_PIXELS,
        "object_types": {
            one.name: {
                "colour": list(one.colour),
                "shape": packed(shape_mask(one.shape, MASK_PIXELS)),
                "rim": packed(shape_mask(one.shape, MASK_PIXELS, rim=True)),
                "fills": one.fills,
                "still": one.motion == "still" and not one.fills,
            }
            for one in family.object_types
        },
    }
