"""Views: one class for each observation mode, which draws observations into arrays of the caller.

Axes: B environments, C planes, H rows, W columns, h and w pixels.
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
from goalmaze.envs.errors import GoalmazeError, unknown
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
"""Pixels per side of a picture in mode "rgb64", as in Procgen."""


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
        """uint8, the largest possible value of each entry of one observation."""

    @cached_property
    def space(self) -> gymnasium.spaces.Box[np.uint8]:
        """The space of one observation, uint8."""
        return gymnasium.spaces.Box(0, self.highest, self.highest.shape, np.uint8)

    @abc.abstractmethod
    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        """Draw the observations of `rows`, after all shapes were checked."""

    def buffer(self, batch: int) -> Bytes:
        """Return zeros uint8 [B, ...], the array for a batch of observations."""
        return np.zeros((batch, *self.highest.shape), np.uint8)

    def memory(self, batch: int) -> Memory:
        """Return the memory that `update` needs for one array of observations that was not drawn yet."""
        return Memory(np.empty((batch, 0), np.uint8), np.empty((batch, 0), np.int32))

    def draw(self, state: State, out: Bytes, rows: Selection | None = None) -> None:
        """Draw the observations into `out` uint8 [B, ...].

        Args:
            state: of the B episodes.
            out: an array from `buffer`, changed in place.
            rows: int [b] or bool [B], the episodes to draw; all of them where None.

        Raises:
            GoalmazeError: the state is of another maze size or family than the view, or `out` does not fit.
        """
        self._draw(state, out, self._checked(state, out, rows))

    def update(self, state: State, out: Bytes, memory: Memory, rows: Selection | None = None) -> None:
        """Draw the observations into `out`, in modes with pictures only the cells that changed since the last update.

        Args:
            state: of the B episodes; it may have changed in any way since the last update.
            out: the array that earlier updates with this memory drew; nothing else may have changed it.
            memory: of that array, from `memory`.
            rows: as `draw`.
        """
        self.draw(state, out, rows)

    def _checked(self, state: State, out: Bytes, rows: Selection | None) -> Rows:
        family, (batch, cells) = self.family, state.squares.shape
        # Compiled code checks no bounds, so a state of another shape is refused here.
        found = (state.planes.shape[1], cells, state.width, state.objects.shape[1])
        if found != (family.planes, family.size**2, family.size, len(family.slots)):
            raise GoalmazeError(
                f"the state has {found[0]} planes, {cells // state.width}x{state.width} cells and {found[3]} objects, "
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
        """uint8 [C, H, W], the largest value of any object type on each plane."""
        return self._bound(self.family.size)

    def _bound(self, side: int) -> Bytes:
        values = self.family.values()
        strengths = [
            [values.get(kind.name, 1) for kind in self.family.object_types if plane in kind.shows_on]
            for plane in self.family.plane_names
        ]
        strongest = np.array([max(plane, default=1) for plane in strengths], np.uint8)
        return np.broadcast_to(strongest[:, None, None], (len(strengths), side, side))

    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        planes = state.planes.reshape(out.shape)
        # The usual case: one copy of everything, without indices.
        if len(rows) == len(out):
            np.copyto(out, planes)
        else:
            out[rows] = planes[rows]


class CropView(PlanesView):
    """The planes around the agent: uint8 [C, 2r+1, 2r+1]; squares outside of the maze are walls."""

    mode = "crop"

    @cached_property
    def highest(self) -> Bytes:
        """uint8 [C, 2r+1, 2r+1], bounds as those of the planes."""
        return self._bound(2 * self.spec.radius + 1)

    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        crop(state.planes, state.width, state.agent, rows, self.spec.radius, out)


class PartialView(PlanesView):
    """The planes at visible squares, 0 elsewhere, and a last plane that is 1 at visible squares: uint8 [C+1, H, W].

    A square is visible if it is at most `radius` cells away along each axis and the straight line from the agent's
    centre to its centre crosses no wall before. A line exactly between two squares is blocked where both are walls.
    Items that the agent holds are visible wherever it stands.
    """

    mode = "partial"

    @cached_property
    def highest(self) -> Bytes:
        """uint8 [C+1, H, W], bounds as those of the planes, and 1 for the last one."""
        return np.pad(self._bound(self.family.size), ((0, 1), (0, 0), (0, 0)), constant_values=1)

    @cached_property
    def sights(self) -> LinesOfSight:
        """The squares within the radius, with their lines of sight."""
        return make_sights(self.spec.radius, self.family.size)

    @cached_property
    def held_steps(self) -> NDArray[np.int32]:
        """int32 [K], number of first observations in which the item of a slot shows while held; 0 for other objects."""
        table = self.family.table
        shown = table[:, rules.VISIBLE_STEPS].astype(np.int32)
        # 0 stands for all observations; no episode takes as many steps.
        shown[shown == 0] = np.iinfo(np.int32).max
        return np.where(table[:, rules.GIVES] > 0, shown, np.int32(0))

    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        flat = out.reshape(*out.shape[:2], -1)
        episodes = state.planes, state.width, state.agent, state.objects, state.steps
        reveal_all(*episodes, self.held_steps, self.sights, rows, flat)


class RgbView(View):
    """A picture with `pixels` pixels per cell: uint8 [H*pixels, W*pixels, 3].

    Objects on one cell are drawn in slot order, then the agent; the lower ones show through the gaps of the upper ones.
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
        """The cells, drawn in advance, from which pictures are composed."""
        return make_sprites(self.family, self.edges)

    def memory(self, batch: int) -> Memory:
        """Return the memory of an array on which nothing was drawn; arguments as `View.memory`."""
        size, slots = self.family.size, len(self.family.slots)
        return Memory(np.full((batch, size * size), UNDRAWN, np.uint8), np.full((batch, slots + 1), -1, np.int32))

    def _draw(self, state: State, out: Bytes, rows: Rows) -> None:
        # A memory of nothing drawn makes every cell differ, so all of them are drawn.
        self._refresh(state, out, self.memory(len(out)), rows)

    def update(self, state: State, out: Bytes, memory: Memory, rows: Selection | None = None) -> None:
        """Draw the cells that changed; arguments as `View.update`."""
        if len(memory.cells) != len(out):
            raise GoalmazeError(f"the memory is of {len(memory.cells)} pictures: use memory({len(out)})")
        self._refresh(state, out, memory, self._checked(state, out, rows))

    def _refresh(self, state: State, out: Bytes, memory: Memory, rows: Rows) -> None:
        figures = state.squares, state.objects, state.agent, state.steps
        refresh(*figures, self.sprites, rows, memory, out.reshape(-1))


class Rgb64View(RgbView):
    """A picture of Procgen's size, uint8 [64, 64, 3], which the maze fills; cells begin and end at whole pixels."""

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


def environment_view(family: Family, observation: str | ObservationSpec, pixels: int, radius: int) -> View:
    """Return the view of an environment, whose observation is given as a mode's name with options, or as a spec.

    Raises:
        GoalmazeError: there is no such mode, the family's environments do not offer it, or an option is out of range.
    """
    spec, offered = ObservationSpec.of(observation, pixels, radius), family.observation_modes
    if offered is not None and spec.mode not in offered:
        raise unknown(f"observation mode of {family.name}", spec.mode, offered)
    return make_view(family, spec)


def make_view(family: Family, spec: ObservationSpec = DEFAULT_SPEC) -> View:
    """Return the view that draws the observations of a family's agents.

    Raises:
        GoalmazeError: the mode does not show mazes of the family's size.
    """
    return VIEWS[spec.mode](family, spec)
