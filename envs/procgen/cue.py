"""The green sign: a tint over a cell, drawn into the frames of Procgen."""

from __future__ import annotations

import numpy as np

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.jit.compile import compiled

GREEN = np.array([0.0, 200.0, 0.0])
CENTRED_CELLS = 8
"""Cells across the frame where it is centred on the mouse; elsewhere it shows the whole world."""


@compiled
def draw_signs(
    frames: np.ndarray,
    sign: np.ndarray,
    mouse: np.ndarray,
    width: int,
    centred: bool,
    strength: float,
    colour: np.ndarray,
) -> None:
    """Tint the cell `sign` in every frame, in place; a pixel half covered by the cell is tinted half as much.

    Args:
        frames: uint8 [B, 64, 64, 3].
        sign: int [B], cells of a level `width` cells wide, whose outermost ring lies outside Procgen's world; or
            `ABSENT`.
        mouse: int [B], cells.
        width: of a level, in cells.
        centred: whether the mouse is in the middle of the frame.
        strength: of the tint, 0 to 1.
        colour: float64 [3].
    """
    pixels = frames.shape[1]
    # Pixels per cell; not a whole number, so cells begin and end within pixels.
    unit = pixels / (CENTRED_CELLS if centred else width - 2)
    for b in range(frames.shape[0]):
        if sign[b] == ABSENT:
            continue
        row, column = sign[b] // width - 1, sign[b] % width - 1
        top, left = row * unit, column * unit
        if centred:
            top += pixels / 2 - (mouse[b] // width - 0.5) * unit
            left += pixels / 2 - (mouse[b] % width - 0.5) * unit
        for y in range(max(0, int(np.floor(top))), min(pixels, int(np.ceil(top + unit)))):
            tall = min(y + 1.0, top + unit) - max(float(y), top)
            for x in range(max(0, int(np.floor(left))), min(pixels, int(np.ceil(left + unit)))):
                opacity = strength * tall * (min(x + 1.0, left + unit) - max(float(x), left))
                # Adding 0.5 rounds: the conversion to uint8 cuts off.
                for c in range(3):
                    frames[b, y, x, c] = np.uint8(frames[b, y, x, c] * (1 - opacity) + colour[c] * opacity + 0.5)
