"""What agents see: one frozen description for each mode, which draws into an array the caller holds.

Axes: B environments, C planes, H, W, K object slots.
"""

from __future__ import annotations

import abc
import dataclasses
from functools import cached_property
from typing import ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.engine import rules
from goalmaze.envs.engine.state import State
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.raster import (
    UNDRAWN,
    Bytes,
    LinesOfSight,
    Memory,
    Sprites,
    crop,
    make_sights,
    make_sprites,
    refresh,
    reveal_all,
)
from goalmaze.envs.observations.spec import DEFAULT_SPEC, ObservationSpec

Rows = NDArray[np.int64]
Selection = NDArray[np.integer] | NDArray[np.bool_]
"""Rows of a batch: indices int [b], or a mask bool [B]."""

FRAME_PIXELS = 64
"""Pixels per side in mode "rgb64", as Procgen has them."""


@dataclasses.dataclass(frozen=True)
class View(abc.ABC):
    """Draws the observations of a family's agents in one mode; `make_view` makes one.

    Attributes:
        mode: the observation mode of the class.
        family: the family, at the size that is drawn.
        spec: the mode with its options.
    """

    mode: ClassVar[str]

    family: Family
    spec: ObservationSpec

    def __post_init__(self) -> None:
        if self.spec.mode != self.mode:
            raise GoalmazeError(
                f"{type(self).__name__} draws mode '{self.mode}', not '{self.spec.mode}': use make_view"
            )

    @cached_property
    @abc.abstractmethod
    def highest(self) -> Bytes:
        """uint8, the largest value at each place of one observation."""

    @cached_property
    def space(self) -> gymnasium.spaces.Box[np.uint8]:
        """The space of one observation, uint8."""
        return gymnasium.spaces.Box(0, self.highest, self.highest.shape, np.uint8)

    @abc.abstractmethod
    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        """Draw the observations of `rows`; shapes were checked."""

    def buffer(self, batch: int) -> Bytes:
        """Return an array uint8 [B, ...] that holds a batch of observations, not drawn yet."""
        return np.zeros((batch, *self.highest.shape), np.uint8)

    def memory(self, batch: int) -> Memory:
        """Return what `update` is to keep beside one array of observations that was not drawn yet."""
        return Memory(np.empty((batch, 0), np.uint8), np.empty((batch, 0), np.int32))

    def draw(self, state: State, out: Bytes, rows: Selection | None = None) -> None:
        """Draw what the agents see into `out` uint8 [B, ...].

        Args:
            state: of the B episodes.
            out: an array from `buffer`, changed in place.
            rows: int [b] or bool [B], the episodes to draw; all of them where None.

        Raises:
            GoalmazeError: the state is of another maze size or family than the view, or `out` does not fit.
        """
        self._draw(state, out, self._checked(state, out, rows))

    def update(self, state: State, out: Bytes, memory: Memory, rows: Selection | None = None) -> None:
        """Make `out` what `draw` would make it, drawing only what changed since the last update where that saves time.

        Args:
            state: of the B episodes; anything may have happened to it meanwhile.
            out: the array drawn by the updates before, and by nothing else.
            memory: of that array, from `memory`.
            rows: as `draw`.
        """
        self.draw(state, out, rows)

    def _checked(self, state: State, out: Bytes, rows: Selection | None) -> Rows:
        family, (batch, cells) = self.family, state.squares.shape
        shown = (state.planes.shape[1], cells, state.width, state.objects.shape[1])
        if shown != (family.planes, family.size**2, family.size, len(family.slots)):
            raise GoalmazeError(
                f"the state has {shown[0]} planes, {cells // state.width}x{state.width} cells and {shown[3]} objects, "
                f"the view is of {family.name} at size {family.size}: make one with family.resized({state.width})"
            )
        if out.shape != (batch, *self.highest.shape) or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise GoalmazeError(f"out is {out.dtype} {out.shape}: use the array of buffer({batch})")
        return np.arange(batch) if rows is None else np.arange(batch)[rows]


class PlanesView(View):
    """The planes as they are: uint8 [C, H, W]."""

    mode = "planes"

    @cached_property
    def highest(self) -> Bytes:
        """uint8 [C, H, W], each plane's bound is how strongly its things show at most."""
        return self._bound(self.family.size)

    def _bound(self, side: int) -> Bytes:
        values = self.family.values()
        strengths = [
            [values.get(kind.name, 1) for kind in self.family.object_types if plane in kind.shows_on]
            for plane in self.family.plane_names
        ]
        strongest = np.array([max(found, default=1) for found in strengths], np.uint8)
        return np.broadcast_to(strongest[:, None, None], (len(strengths), side, side))

    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        planes = state.planes.reshape(out.shape)
        if len(rows) == len(out):
            np.copyto(out, planes)
        else:
            out[rows] = planes[rows]


class CropView(PlanesView):
    """The planes around the agent: uint8 [C, 2r+1, 2r+1]; outside of the maze all is wall."""

    mode = "crop"

    @cached_property
    def highest(self) -> Bytes:
        """uint8 [C, 2r+1, 2r+1], bounds as those of the planes."""
        return self._bound(2 * self.spec.radius + 1)

    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        crop(state.planes, state.width, state.agent, rows, self.spec.radius, out)


class PartialView(PlanesView):
    """The planes where the agent sees, 0 elsewhere, and a last plane, 1 where it sees: uint8 [C+1, H, W].

    An agent sees a square at most `radius` away along each axis, if the straight line between the centres meets no wall
    before. A line exactly between two squares is stopped where both are walls. Items an agent holds it always sees.
    """

    mode = "partial"

    @cached_property
    def highest(self) -> Bytes:
        """uint8 [C+1, H, W], bounds as those of the planes, and 1 for the last one."""
        return np.pad(self._bound(self.family.size), ((0, 1), (0, 0), (0, 0)), constant_values=1)

    @cached_property
    def sights(self) -> LinesOfSight:
        """The squares that could be seen."""
        return make_sights(self.spec.radius, self.family.size)

    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        gives = self.family.table[:, rules.GIVES] > 0
        flat = out.reshape(*out.shape[:2], -1)
        reveal_all(state.planes, state.width, state.agent, state.objects, gives, self.sights, rows, flat)


class RgbView(View):
    """A picture with `pixels` pixels per cell: uint8 [H*pixels, W*pixels, 3].

    Objects stand over each other in slot order, the agent over all; what stands on one cell shows through the gaps of
    what stands over it.
    """

    mode = "rgb"

    @cached_property
    def edges(self) -> NDArray[np.int32]:
        """int32 [size + 1], the pixel at which each row, or column, of cells begins, and the end of the last."""
        return np.arange(self.family.size + 1, dtype=np.int32) * np.int32(self.spec.pixels)

    @cached_property
    def highest(self) -> Bytes:
        """uint8 [h, w, 3], all 255."""
        return np.full((self.edges[-1], self.edges[-1], 3), 255, np.uint8)

    @cached_property
    def sprites(self) -> Sprites:
        """The cells from which pictures are put together."""
        return make_sprites(self.family, self.edges)

    def memory(self, batch: int) -> Memory:
        """Return a memory of nothing drawn; arguments as `View.memory`."""
        size, slots = self.family.size, len(self.family.slots)
        return Memory(np.full((batch, size * size), UNDRAWN, np.uint8), np.full((batch, slots + 1), -1, np.int32))

    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        self._refresh(state, out, self.memory(len(out)), rows)

    def update(self, state: State, out: Bytes, memory: Memory, rows: Selection | None = None) -> None:
        """Draw the cells that changed; arguments as `View.update`."""
        if len(memory.cells) != len(out):
            raise GoalmazeError(f"the memory is of {len(memory.cells)} pictures: use memory({len(out)})")
        self._refresh(state, out, memory, self._checked(state, out, rows))

    def _refresh(self, state: State, out: Bytes, memory: Memory, rows: Rows) -> None:
        refresh(state.squares, state.objects, state.agent, self.sprites, rows, memory, out.reshape(-1))


class Rgb64View(RgbView):
    """A picture as large as Procgen's, uint8 [64, 64, 3], filled by the maze; cells end on whole pixels."""

    mode = "rgb64"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.family.size > FRAME_PIXELS:
            raise GoalmazeError(
                f"mode 'rgb64' shows at most {FRAME_PIXELS} cells a side, not {self.family.size}: choose mode 'rgb'"
            )

    @cached_property
    def edges(self) -> NDArray[np.int32]:
        """int32 [size + 1], whole pixels nearest to even steps from 0 to 64."""
        return np.rint(np.arange(self.family.size + 1) * FRAME_PIXELS / self.family.size).astype(np.int32)


VIEWS: dict[str, type[View]] = {view.mode: view for view in (PlanesView, RgbView, Rgb64View, CropView, PartialView)}
"""Observation mode → the class that draws it."""


def make_view(family: Family, spec: ObservationSpec = DEFAULT_SPEC) -> View:
    """Return the view that draws the observations of a family's agents.

    Raises:
        GoalmazeError: the mode does not show mazes of the family's size.
    """
    return VIEWS[spec.mode](family, spec)
