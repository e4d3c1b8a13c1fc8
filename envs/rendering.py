"""Levels as RGB pictures of any size for people, drawn from shapes in colours that colour-blind people can tell apart.

The colours are those of `goalmaze.envs.look`; object types differ in shape as well as in colour.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs import look
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.levels import LevelBatch

if TYPE_CHECKING:
    import pygame

Picture = NDArray[np.uint8]
Mask = NDArray[np.float64]

PALETTE = {
    "wall": look.WALL,
    "floor": look.FLOOR,
    "grid": look.GRID,
    "agent": look.AGENT,
    "target": look.TARGET,
    "trail": look.TRAIL,
    "rim": look.RIM,
}
AGENT_SHAPE = "disc"
HIDDEN_OPACITY = 0.3
"""Opacity of objects that the agent's observation no longer shows."""
RENDER_FPS = 8
"""Pictures per second of films and windows."""

LAMP_CELL = 0
"""The cell on which a lamp shows, which fills its planes and has no cell of its own."""


Coordinates = NDArray[np.float64]
Inside = Callable[[Coordinates, Coordinates], NDArray[np.bool_]]


def _circle(x: Coordinates, y: Coordinates, radius: float, right: float = 0, down: float = 0) -> NDArray[np.bool_]:
    return np.hypot(x - right, y - down) < radius


def _oval(x: Coordinates, y: Coordinates, across: float, high: float) -> NDArray[np.bool_]:
    return np.hypot(x / across, y / high) < 1


def _box(x: Coordinates, y: Coordinates, left: float, top: float, right: float, bottom: float) -> NDArray[np.bool_]:
    return (x > left) & (x < right) & (y > top) & (y < bottom)


def _polygon(*corners: tuple[float, float]) -> Inside:
    """Return the inside of a polygon: where a ray to the right crosses its sides an odd number of times."""

    def inside(x: Coordinates, y: Coordinates) -> NDArray[np.bool_]:
        odd = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.bool_)
        for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
            if y0 != y1:
                odd ^= ((y0 > y) != (y1 > y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return odd

    return inside


def _star_corners(points: int, outer: float, inner: float) -> tuple[tuple[float, float], ...]:
    turns = [np.pi * i / points for i in range(2 * points)]
    radii = [outer, inner] * points
    return tuple((r * float(np.sin(t)), -r * float(np.cos(t))) for r, t in zip(radii, turns, strict=True))


_wedge = _polygon((-0.68, -0.02), (0.3, -0.56), (0.68, -0.14), (0.68, 0.5), (-0.68, 0.5))
_gem = _polygon((-0.5, -0.75), (0.5, -0.75), (0.85, -0.3), (0, 0.8), (-0.85, -0.3))
_gem_hole = _polygon((-0.4, -0.53), (0.4, -0.53), (0.58, -0.27), (0, 0.46), (-0.58, -0.27))
_spikes = _polygon(*_star_corners(8, 1.0, 0.62))
_arrow = _polygon((0, -0.9), (0.85, 0.8), (0, 0.4), (-0.85, 0.8))
_arrow_hole = _polygon((0, -0.36), (0.38, 0.38), (0, 0.14), (-0.38, 0.38))
_banner = _polygon((-0.4, -0.85), (0.8, -0.42), (-0.4, 0.05))

SHAPES: dict[str, Inside] = {
    "apple": lambda x, y: (
        (_circle(x, y, 0.5, 0.24, 0.2) | _circle(x, y, 0.5, -0.24, 0.2)) & ~_circle(x, y, 0.16, 0, -0.3)
        | _oval(x - y - 0.86, x + y + 0.38, 0.34, 0.15)
    ),
    "bulb": lambda x, y: (
        _circle(x, y, 0.58, 0, -0.28) | _box(x, y, -0.28, 0, 0.28, 0.46) | _box(x, y, -0.28, 0.6, 0.28, 0.88)
    ),
    "cheese": lambda x, y: (
        _wedge(x, y)
        & ~_circle(x, y, 0.17, -0.24, 0.22)
        & ~_circle(x, y, 0.14, 0.34, 0.28)
        & ~_circle(x, y, 0.13, 0.22, -0.18)
    ),
    "chest": lambda x, y: (
        (_box(x, y, -0.8, -0.12, 0.8, 0.65) | (_oval(x, y + 0.12, 0.8, 0.58) & (y < -0.1)))
        & (~_box(x, y, -0.8, -0.16, 0.8, 0.02) | _box(x, y, -0.1, -0.3, 0.1, 0.1))
        & ~_box(x, y, -0.1, 0.1, 0.1, 0.3)
    ),
    "cross": lambda x, y: (np.minimum(np.abs(x - y), np.abs(x + y)) < 0.34) & _box(x, y, -0.75, -0.75, 0.75, 0.75),
    "diamond": lambda x, y: np.abs(x) + np.abs(y) < 0.82,
    "disc": lambda x, y: _circle(x, y, 0.55),
    "dish": lambda x, y: _circle(x, y, 0.95) & ~(_circle(x, y, 0.72) & ~_circle(x, y, 0.6)),
    "door": lambda x, y: _box(x, y, -0.84, -0.84, 0.84, 0.84) & ~_box(x, y, -0.6, -0.6, 0.6, 1),
    "dot": lambda x, y: _circle(x, y, 0.2),
    "flag": lambda x, y: _box(x, y, -0.65, -0.85, -0.4, 0.9) | _banner(x, y),
    "flame": lambda x, y: (y + 0.2 * np.abs(np.mod(2 * x, 2) - 1) * 2) % 0.67 < 0.4,
    "fork": lambda x, y: (
        (_box(x, y, -0.98, -0.95, -0.58, -0.2) & ~(_box(x, y, -0.85, -1, -0.71, -0.45)))
        | _box(x, y, -0.86, -0.25, -0.7, 0.95)
    ),
    "gem": lambda x, y: _gem(x, y) & ~_gem_hole(x, y),
    "goblet": _polygon((-0.75, -0.95), (0.15, -0.95), (-0.3, 0.1)),
    "key": lambda x, y: (
        (_circle(x, y, 0.42, -0.5) & ~_circle(x, y, 0.18, -0.5))
        | _box(x, y, -0.15, -0.13, 0.9, 0.13)
        | _box(x, y, 0.3, 0, 0.5, 0.42)
        | _box(x, y, 0.68, 0, 0.9, 0.5)
    ),
    "leader": lambda x, y: _arrow(x, y) & ~_arrow_hole(x, y),
    "line": lambda x, y: _box(x, y, -0.88, -0.2, 0.88, 0.2),
    "monster": lambda x, y: _spikes(x, y) & ~_circle(x, y, 0.2, -0.34, -0.13) & ~_circle(x, y, 0.2, 0.34, -0.13),
    "mug": lambda x, y: (
        _box(x, y, 0.1, -0.95, 0.7, -0.25) | (_circle(x, y, 0.27, 0.68, -0.6) & ~_circle(x, y, 0.13, 0.68, -0.6))
    ),
    "napkin": lambda x, y: _box(x, y, -0.55, 0.42, 0.55, 0.95),
    "ring": lambda x, y: _circle(x, y, 0.92) & ~_circle(x, y, 0.68),
    "shield": lambda x, y: (
        _box(x, y, -0.7, -0.8, 0.7, 0.9)
        & (y < 0.9 - 1.6 * np.abs(x / 0.7) ** 2.2 * 0.6)
        & ~_box(x, y, -0.08, -0.6, 0.08, 0.6)
    ),
    "spoon": lambda x, y: _oval(x - 0.79, y + 0.05, 0.19, 0.36) | _box(x, y, 0.72, 0, 0.86, 0.95),
    "square": lambda x, y: _box(x, y, -0.6, -0.6, 0.6, 0.6),
    "star": _polygon(*_star_corners(5, 0.92, 0.4)),
    "tile": lambda x, y: _box(x, y, -0.9, -0.9, 0.9, 0.9),
    "triangle": _polygon((0, -0.75), (0.8, 0.65), (-0.8, 0.65)),
}
"""Name → the inside of the shape, in a cell that reaches from -1 to 1, x to the right and y down."""

_PIXEL_SAMPLES, _CELL_SAMPLES = 4, 32
"""Smallest number of samples along each axis, per pixel and per cell, for smooth edges."""

_RIM = 0.1
"""Width of the dark rim that separates light colours from the floor, on the scale of `SHAPES`."""

_FINE = 8
"""Fewest pixels per cell at which rims and lines between cells are drawn."""


@functools.lru_cache(maxsize=1024)
def shape_mask(shape: str, pixels: int, width: int | None = None, rim: bool = False) -> Mask:
    """Return float [pixels, width], how much of each pixel of a cell a shape covers, 0 to 1.

    Args:
        shape: one of `SHAPES`.
        pixels: height of the cell.
        width: of the cell; as its height where None.
        rim: whether to count the rim around the shape as well.

    Raises:
        GoalmazeError: there is no such shape.
    """
    if shape not in SHAPES:
        raise unknown("shape", shape, SHAPES)
    width = pixels if width is None else width
    (y, rows), (x, columns) = _samples(pixels), _samples(width)
    # The rim is the union of the shape moved a little in sixteen directions.
    offsets = [(0.0, 0.0), *_star_corners(8, _RIM, _RIM)] if rim else [(0.0, 0.0)]
    inside = np.any([SHAPES[shape](x[None, :] - right, y[:, None] - down) for right, down in offsets], axis=0)
    cover: Mask = inside.reshape(pixels, rows, width, columns).mean(axis=(1, 3))
    # The cache returns the same array to every caller.
    cover.flags.writeable = False
    return cover


def _samples(pixels: int) -> tuple[Coordinates, int]:
    """Return float [pixels * n], the coordinates of the samples along one axis of a cell, and n."""
    # Rounded up, so that a cell has enough samples; these lie in the middle of equal parts of each pixel.
    each = max(_PIXEL_SAMPLES, -(-_CELL_SAMPLES // pixels))
    return (np.arange(pixels * each) + 0.5) / (pixels * each) * 2 - 1, each


def paint(
    picture: Picture, cell: int, width: int, pixels: int, shape: str, colour: Sequence[int], opacity: float = 1.0
) -> None:
    """Draw a shape into a cell of `picture` uint8 [H*pixels, W*pixels, 3], in place; an absent cell draws nothing."""
    if cell == ABSENT:
        return
    row, column = divmod(int(cell), width)
    square = picture[row * pixels : (row + 1) * pixels, column * pixels : (column + 1) * pixels]
    layers = [(shape_mask(shape, pixels), colour)]
    if pixels >= _FINE:
        layers.insert(0, (shape_mask(shape, pixels, rim=True), look.RIM))
    for cover, ink in layers:
        part = opacity * cover[..., None]
        square[:] = np.rint(square * (1 - part) + np.array(ink) * part).astype(np.uint8)


def scene_data(
    levels: LevelBatch,
    b: int,
    agent: int | np.integer,
    target: int | np.integer = ABSENT,
    trail: Sequence[int] = (),
    steps: int | np.integer = 0,
) -> JsonObject:
    """Return the content of a picture of level b as JSON data, which `draw_scene` and web pages draw.

    Cells are integers and colours are [red, green, blue]. Objects are in the order in which they are drawn, over the
    trail and under the target's ring and the agent. A lamp shows in the top left corner. An object is `hidden` where
    the agent's observation no longer shows it. Arguments as `frame`.
    """
    family = levels.family
    hidden = {name for name, shown in family.visible_steps_by_type.items() if 0 < shown <= steps}
    object_types = {kind.name: kind for kind in family.object_types}
    slots = [(object_types[name], int(cell)) for name, cell in zip(levels.slots, levels.objects[b], strict=True)]
    return {
        "size": [levels.height, levels.width],
        "walls": levels.walls[b].astype(int).tolist(),
        "objects": [
            {
                "kind": kind.name,
                "shape": kind.shape,
                "colour": list(kind.colour),
                "cell": LAMP_CELL if kind.fills else cell,
                "hidden": kind.name in hidden,
            }
            for kind, cell in slots
            if cell != ABSENT
        ],
        "agent": int(agent),
        "target": int(target),
        "trail": [int(cell) for cell in trail],
        "palette": {name: list(colour) for name, colour in PALETTE.items()},
    }


def frame(
    levels: LevelBatch,
    b: int,
    agent: int | np.integer,
    *,
    pixels: int = 32,
    target: int = ABSENT,
    trail: tuple[int, ...] = (),
    steps: int | np.integer = 0,
) -> Picture:
    """Return uint8 [H*pixels, W*pixels, 3], level b with the agent at a cell.

    Items held show along the top wall, where `levels` has them; a lamp shows in the top left corner. Objects that the
    agent's observation no longer shows are drawn faintly.

    Args:
        levels: the batch.
        b: which of its levels.
        agent: the agent's cell.
        pixels: pixels per cell.
        target: a cell to ring, or `ABSENT`.
        trail: earlier cells of the agent, marked by dots.
        steps: number of steps taken in the episode.
    """
    return draw_scene(scene_data(levels, b, agent, target, trail, steps), pixels)


def draw_scene(scene: ReadonlyJsonObject, pixels: int = 32) -> Picture:
    """Return uint8 [H*pixels, W*pixels, 3], the picture of what `scene_data` describes."""
    walls = np.array(scene["walls"], np.bool_).repeat(pixels, axis=0).repeat(pixels, axis=1)
    width, palette = scene["size"][1], scene["palette"]
    picture: Picture = np.where(walls[..., None], palette["wall"], palette["floor"]).astype(np.uint8)
    if pixels >= _FINE:
        lines = np.zeros(walls.shape, np.bool_)
        lines[::pixels] = True
        lines[:, ::pixels] = True
        picture[lines & ~walls] = palette["grid"]
    for cell in scene["trail"]:
        paint(picture, cell, width, pixels, "dot", palette["trail"])
    for one in scene["objects"]:
        opacity = HIDDEN_OPACITY if one["hidden"] else 1.0
        paint(picture, one["cell"], width, pixels, one["shape"], one["colour"], opacity)
    paint(picture, scene["target"], width, pixels, "ring", palette["target"])
    paint(picture, scene["agent"], width, pixels, AGENT_SHAPE, palette["agent"])
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
        self._surface: pygame.Surface | None = None
        self._clock = pygame.time.Clock()

    def show(self, picture: Picture) -> None:
        """Show a frame uint8 [h, w, 3] and wait until it is time for the next."""
        if self._surface is None:
            self._pygame.display.init()
            self._pygame.display.set_caption(self._title)
            self._surface = self._pygame.display.set_mode(picture.shape[1::-1])
        # pygame indexes pictures by x first.
        self._pygame.surfarray.blit_array(self._surface, picture.swapaxes(0, 1))
        self._pygame.event.pump()
        self._pygame.display.flip()
        self._clock.tick(self._rate)

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()
