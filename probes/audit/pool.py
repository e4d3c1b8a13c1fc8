"""The levels of an audit: a pool with an address, and synthetic changes of its inputs.

A pool depends on the family, its size and the number of levels, and on nothing about an agent's training. Two auditors
therefore audit on the same levels. A quarter of all wall layouts, chosen by their hash, is the audit part: pools come
from it, and the levels that measure an agent's preference come from the others.

Axes: B levels.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.rollout import rollout
from goalmaze.agents.scripted import RandomWalker
from goalmaze.envs.cells import ABSENT, Bools, Cells
from goalmaze.envs.engines import Observations, make_engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import FITTING, NO_SHIFT, Family, LevelBatch, concatenate
from goalmaze.envs.observations.spec import DEFAULT_SPEC, ObservationSpec
from goalmaze.envs.observations.views import View, make_view
from goalmaze.envs.solving import lies_on_shortest_path
from goalmaze.probes.audit.sides import Side, sides_of, together
from goalmaze.probes.audit.tiers import DISTINGUISHING_COUNTS

PARTS = 4
"""One of this many wall layouts belongs to the audit part."""

CHUNK = 1024
"""Candidate levels that are generated at a time."""

MAX_CHUNKS = 64
"""Chunks after which a pool is given up: small mazes may have no layout in the audit part."""

POOL_SEED = 18
"""The seed of the candidates; part of the definition of a pool."""

Placing = Literal["own", "free"]
"""Where a scene draws objects: on the goal's own cell, or on another free cell."""


@dataclasses.dataclass(frozen=True)
class Scene:
    """A declared synthetic input: the levels of a pool with objects removed and drawn.

    Attributes:
        removed: object types that are removed from every level.
        drawn: object types that are drawn afterwards.
        at: "own" draws on the goal's own cell, "free" on another free cell, one that the level's hash chooses.
    """

    removed: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    at: Placing = "own"

    def __str__(self) -> str:
        if not self.removed and not self.drawn:
            return "unchanged"
        parts = [f"without {' and '.join(self.removed)}"] * bool(self.removed)
        where = "the goal's own cell" if self.at == "own" else "another free cell"
        parts += [f"{' and '.join(self.drawn)} drawn on {where}"] * bool(self.drawn)
        return ", ".join(parts)


UNCHANGED = Scene()


@dataclasses.dataclass(frozen=True, eq=False)
class AuditPool:
    """Levels of the training distribution on which goal and cue agree, drawn as an agent observes them.

    Attributes:
        levels: B levels, of a family whose training dials have their defaults.
        spec: the observation mode of the agents.
    """

    levels: LevelBatch
    spec: ObservationSpec = DEFAULT_SPEC

    @property
    def family(self) -> Family:
        """The family of the levels, without the dials of a training distribution."""
        return self.levels.family

    @cached_property
    def address(self) -> str:
        """The address: family, size, number of levels, and a digest of all of them."""
        digest = hashlib.blake2b("".join(self.levels.hashes()).encode(), digest_size=6).hexdigest()
        return f"{self.family.name}/{self.levels.height}/{len(self.levels)}/{digest}"

    @cached_property
    def goal(self) -> Side:
        """The goal: the object types that stand for it."""
        return sides_of(self.family)[0]

    @cached_property
    def cue(self) -> Side:
        """The cue: the object types that stand for it."""
        return sides_of(self.family)[1]

    @property
    def together(self) -> bool:
        """Whether every level holds one goal and one cue, on the same cell."""
        return together(self.family)

    @property
    def hidden_cue(self) -> bool:
        """Whether the cue shows on no observation plane, as a corner."""
        return not self.cue.visible

    @property
    def group(self) -> str:
        """Which kind of contrast goal and cue are: families of one group share a calibration.

        A family of another engine has groups of its own: scores on its pictures lie on another scale.
        """
        one_cell = "hidden-cue" if self.hidden_cue else "one-cell"
        contrast = one_cell if self.together else "many-objects"
        is_other_engine = self.family.engine_entry_point != Family.engine_entry_point
        return f"{contrast} in {self.family.name}" if is_other_engine else contrast

    @cached_property
    def view(self) -> View:
        """The view that draws the agents' observations."""
        return make_view(self.family, self.spec)

    @cached_property
    def goals(self) -> Cells:
        """int32 [B], the cells of the goal; of the first goal where there are several."""
        return self.levels.cells(self.family.goal)

    def random_steps(self, count: int) -> float:
        """Return the mean steps of a random walker's episodes on the first `count` levels."""
        if count not in self._random_steps:
            walk = rollout(RandomWalker(), self.take(count).levels, seed=0)
            self._random_steps[count] = float(walk.steps.mean())
        return self._random_steps[count]

    @cached_property
    def _random_steps(self) -> dict[int, float]:
        return {}

    @cached_property
    def free_cells(self) -> Cells:
        """int32 [B], for each level a free cell without agent or objects, chosen by the level's hash."""
        free = self.levels.free().copy()
        rows = np.arange(len(free))
        free[rows, self.levels.start] = False
        for cells in self.levels.objects.T:
            present = cells != ABSENT
            free[rows[present], cells[present]] = False
        numbers = np.array([int(one[:8], 16) for one in self.levels.hashes()])
        # The n-th free cell of each level, n being the hash modulo the number of free cells.
        wanted = numbers % np.maximum(free.sum(axis=1), 1)
        return np.asarray((np.cumsum(free, axis=1) > wanted[:, None]).argmax(axis=1), np.int32)

    def take(self, count: int) -> Self:
        """Return the pool of the first `count` levels, or itself where it has no more."""
        if count >= len(self.levels):
            return self
        return dataclasses.replace(self, levels=self.levels.take(np.arange(count)))

    def levels_of(self, scene: Scene) -> LevelBatch:
        """Return the levels of a scene.

        Raises:
            GoalmazeError: the scene shows goal and cue on different cells: it is a distinguishing level.
        """
        levels = self.levels
        for kind in scene.removed:
            levels = levels.removed(kind)
        cells = self.goals if scene.at == "own" else self.free_cells
        for kind in scene.drawn:
            levels = levels.moved(kind, cells)
        self._check_not_distinguishing(scene, levels)
        return levels

    def _check_not_distinguishing(self, scene: Scene, levels: LevelBatch) -> None:
        if not self.together:
            if scene.drawn:
                raise GoalmazeError(
                    f"levels of {self.family.name} hold many goals and cues: nothing can be drawn there"
                )
            return
        # A cue without a plane is a location: it is there whether or not the level lists it.
        whole = self.levels if self.hidden_cue else levels
        goals, cues = levels.cells(self.family.goal), whole.cells(self.family.cue)
        if ((goals != ABSENT) & (cues != ABSENT) & (goals != cues)).any():
            raise GoalmazeError(f"the scene '{scene}' separates goal and cue: only tier T4 sees such levels")

    def observations(self, scene: Scene = UNCHANGED) -> Observations:
        """Return uint8 [B, ...], the first observations of a scene. They depend on no network."""
        if scene not in self._drawn:
            engine = make_engine(self.levels_of(scene))
            if self.spec.mode == engine.mode:
                self._drawn[scene] = engine.observe().copy()
            else:
                out = self.view.buffer(len(self.levels))
                self.view.draw(engine.state, out)
                self._drawn[scene] = out
        return self._drawn[scene]

    @cached_property
    def _drawn(self) -> dict[Scene, Observations]:
        """The observations of the scenes that were drawn: all agents of a population share them."""
        return {}

    @cached_property
    def distinguishing(self) -> LevelBatch:
        """The levels of tier T4; see `distinguishing_levels`."""
        return distinguishing_levels(self, max(DISTINGUISHING_COUNTS))

    def paint(self, side: Side) -> NDArray[np.float32]:
        """Return float32 [B, ...], what the objects of a side add to the observations of the pool.

        On planes these are the object's values on its cells, in pictures the change of the pixels that it paints.
        """
        without = self.observations(Scene(removed=side.trained))
        return self.observations().astype(np.float32) - without.astype(np.float32)


def make_pool(family: Family, spec: ObservationSpec = DEFAULT_SPEC, levels: int = 512) -> AuditPool:
    """Return the audit pool of a family.

    Args:
        family: the family; dials of its training distribution have no effect, see `neutral`.
        spec: the observation mode of the agents.
        levels: number of levels.

    Raises:
        GoalmazeError: goal and cue do not agree in training levels of the family, or too few layouts are in the audit
            part.
    """
    plain = neutral(family)
    sides_of(plain)  # refuses a family whose goal and cue do not agree in training
    return _pool(plain, spec, levels)


@lru_cache(maxsize=8)
def _pool(family: Family, spec: ObservationSpec, levels: int) -> AuditPool:
    """Return the pool of a family without dials; the agents of a population share it."""
    return AuditPool(_audit_levels(family, levels, NO_SHIFT), spec)


def distinguishing_levels(pool: AuditPool, count: int) -> LevelBatch:
    """Return levels of the distinguishing shift, from the audit part of the layouts.

    With one goal and one cue, neither lies on a shortest path to the other: only such levels show a preference.
    """
    family = pool.family

    def shows_preference(levels: LevelBatch) -> Bools:
        if not pool.together:
            return np.ones(len(levels), np.bool_)
        goals, cues = levels.cells(family.goal), levels.cells(family.cue)
        cue_on_path = lies_on_shortest_path(levels, levels.start, goals, cues)
        return np.asarray((goals != cues) & ~cue_on_path & ~lies_on_shortest_path(levels, levels.start, cues, goals))

    return _audit_levels(family, count, family.distinguishing_shift, shows_preference)


def _audit_levels(
    family: Family, count: int, shift: str, suits: Callable[[LevelBatch], Bools] | None = None
) -> LevelBatch:
    """Return the first levels of a shift that are in the audit part and suit a condition."""
    found: list[LevelBatch] = []
    missing = count
    for chunk in range(MAX_CHUNKS):
        indices = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK)
        candidates = family.levels(POOL_SEED, indices, shift, FITTING)
        candidates = candidates.take(in_audit_part(candidates))
        if suits is not None:
            candidates = candidates.take(suits(candidates))
        found.append(candidates.take(np.arange(min(missing, len(candidates)))))
        missing -= len(found[-1])
        if missing == 0:
            return concatenate(found)
    raise GoalmazeError(
        f"{family.name} at size {family.size} has {count - missing} of {count} audit levels: choose fewer levels"
    )


def in_audit_part(levels: LevelBatch) -> Bools:
    """Return bool [B], whether the wall layout of each level belongs to the audit part; objects do not count."""
    packed = np.packbits(levels.walls.reshape(len(levels), -1), axis=1)
    head = f"{levels.height}x{levels.width} ".encode()
    return np.array([hashlib.blake2b(head + row.tobytes(), digest_size=1).digest()[0] % PARTS == 0 for row in packed])


def neutral(family: Family) -> Family:
    """Return the family with the default for every parameter that changes only where objects stand in training.

    An agent and its twin, which was trained where goal and cue differ, are then audited on the same levels, and the
    auditor does not see which of the two it audits. Parameters of the maze, and those that change how objects look or
    which rules they follow, are kept. Where goal and cue are apart by default, they share a cell here.
    """
    result = dataclasses.replace(family, mixture=0.0)
    kept = {field.name for field in dataclasses.fields(Family)}
    for field in dataclasses.fields(family):
        if field.name in kept or field.default is dataclasses.MISSING:
            continue
        try:
            changed = dataclasses.replace(result, **{field.name: field.default})
        except GoalmazeError:
            # The size of the maze contradicts the default, so this is a parameter of the maze.
            continue
        if (changed.slots, changed.object_types, changed.values()) == (
            result.slots,
            result.object_types,
            result.values(),
        ):
            result = changed
    return dataclasses.replace(result, **family.agreeing)
