"""One look for people: levels as RGB pictures of any size, drawn from shapes, colour-blind safe, no window opened.

Colours are Okabe and Ito's (2008); every kind of object differs from the others in shape as well as in colour.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families.base import Family
from goalmaze.envs.levels import ABSENT, LevelBatch

Picture = NDArray[np.uint8]
Mask = NDArray[np.float64]

WALL_COLOUR = (58, 63, 71)
FLOOR_COLOUR = (246, 244, 239)
GRID_COLOUR = (228, 225, 217)
AGENT_COLOUR = (213, 94, 0)
TARGET_COLOUR = (204, 121, 167)
TRAIL_COLOUR = (230, 159, 0)

_SAMPLES = 4
"""Samples per pixel and axis, for smooth edges."""


@functools.lru_cache(maxsize=256)
def shape_mask(shape: str, pixels: int) -> Mask:
    """Return float [pixels, pixels], how much of each pixel of a cell a shape covers, 0 to 1.

    Shapes: disc, diamond, door, ring, dot.

    Raises:
        GoalmazeError: the shape is not known.
    """
    ticks = (np.arange(pixels * _SAMPLES) + 0.5) / (pixels * _SAMPLES) * 2 - 1
    y, x = ticks[:, None], ticks[None, :]
    radius = np.hypot(x, y)
    if shape == "disc":
        inside = radius < 0.55
    elif shape == "dot":
        inside = radius < 0.2
    elif shape == "ring":
        inside = (radius < 0.92) & (radius > 0.68)
    elif shape == "diamond":
        inside = np.abs(x) + np.abs(y) < 0.68
    elif shape == "door":
        outer = (np.abs(x) < 0.84) & (np.abs(y) < 0.84)
        inside = outer & ~((np.abs(x) < 0.6) & (y > -0.6))
    else:
        raise GoalmazeError(f"unknown shape '{shape}' (known: disc, diamond, door, ring, dot)")
    cover: Mask = inside.reshape(pixels, _SAMPLES, pixels, _SAMPLES).mean(axis=(1, 3))
    cover.flags.writeable = False
    return cover


def paint(picture: Picture, cell: int, width: int, pixels: int, shape: str, colour: tuple[int, int, int]) -> None:
    """Draw a shape into a cell of `picture` uint8 [H*pixels, W*pixels, 3], in place; an absent cell draws nothing."""
    if cell == ABSENT:
        return
    row, column = divmod(int(cell), width)
    square = picture[row * pixels : (row + 1) * pixels, column * pixels : (column + 1) * pixels]
    cover = shape_mask(shape, pixels)[..., None]
    square[:] = np.rint(square * (1 - cover) + np.array(colour) * cover).astype(np.uint8)


def frame(
    levels: LevelBatch,
    b: int,
    family: Family,
    agent: int | np.integer[Any],
    *,
    pixels: int = 32,
    target: int = ABSENT,
    trail: tuple[int, ...] = (),
) -> Picture:
    """Return uint8 [H*pixels, W*pixels, 3], level b with the agent at a cell.

    Args:
        levels: the batch.
        b: which of its levels.
        family: whose kinds give colours and shapes.
        agent: the agent's cell.
        pixels: pixels per cell.
        target: a cell to ring, or `ABSENT`.
        trail: cells walked before, marked by dots.
    """
    walls = levels.walls[b]
    base = np.where(walls[..., None], WALL_COLOUR, FLOOR_COLOUR).astype(np.uint8)
    picture = base.repeat(pixels, axis=0).repeat(pixels, axis=1)
    if pixels >= 8:
        floor = np.repeat(np.repeat(~walls, pixels, axis=0), pixels, axis=1)
        lines = np.zeros(floor.shape, np.bool_)
        lines[::pixels] = True
        lines[:, ::pixels] = True
        picture[lines & floor] = GRID_COLOUR
    for cell in trail:
        paint(picture, cell, levels.width, pixels, "dot", TRAIL_COLOUR)
    kinds = {kind.name: kind for kind in family.kinds}
    for k, name in enumerate(levels.kinds):
        paint(picture, levels.objects[b, k], levels.width, pixels, kinds[name].shape, kinds[name].colour)
    paint(picture, target, levels.width, pixels, "ring", TARGET_COLOUR)
    paint(picture, int(agent), levels.width, pixels, "disc", AGENT_COLOUR)
    return picture


class Window:
    """A desktop window that shows frames (pygame).

    Raises:
        GoalmazeError: pygame is not installed.
    """

    def __init__(self, title: str, frames_per_second: int) -> None:
        try:
            import pygame
        except ImportError:
            raise GoalmazeError("a window needs pygame: pip install 'goalmaze[human]'") from None
        self._pygame = pygame
        self._title = title
        self._rate = frames_per_second
        self._surface: Any = None
        self._clock = pygame.time.Clock()

    def show(self, picture: Picture) -> None:
        """Show a frame uint8 [h, w, 3] and wait until it is time for the next."""
        if self._surface is None:
            self._pygame.display.init()
            self._pygame.display.set_caption(self._title)
            self._surface = self._pygame.display.set_mode(picture.shape[1::-1])
        self._pygame.surfarray.blit_array(self._surface, picture.swapaxes(0, 1))
        self._pygame.event.pump()
        self._pygame.display.flip()
        self._clock.tick(self._rate)

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()
