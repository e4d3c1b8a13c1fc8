"""A scene: one level, a target, and the unedited and the edited agent walking it in step. It draws nothing."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from goalmaze.agents.loading import Agent
from goalmaze.agents.rollout import StepRecord, stepwise
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import Engine, make_engine
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, Family, LevelBatch
from goalmaze.envs.objects import AGENT
from goalmaze.probes.edits.base import Edit, applied
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.targets import draw_targets

WALKING, NOWHERE, TARGET, OVER = "walking", "nowhere", "target", "over"


@dataclasses.dataclass
class AgentEpisode:
    """One of the two agents on their way.

    Attributes:
        records: the steps of the episode.
        episodes: the same episode, one of a batch of 1, which what is shown is read from.
        seeks: what ends its walk, "target" or kinds of object; nothing where only the episode's own end does.
        trail: cells stood on so far, the present one last.
        outcome: `WALKING`, the name of what it reached first ("target" or a kind of object), `OVER` where it seeks
            nothing and the episode ended, or `NOWHERE`.
        returns: float64 [2], true and cue return so far.
    """

    records: Iterator[StepRecord]
    episodes: Engine
    seeks: tuple[str, ...]
    trail: list[int]
    outcome: str = WALKING
    returns: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros(2))

    @property
    def cell(self) -> int:
        """Where it stands."""
        return self.trail[-1]

    @property
    def steps(self) -> int:
        """Steps taken."""
        return len(self.trail) - 1


class Scene:
    """One agent twice, as it is and with its goal rewritten, on the same level and with equal luck.

    Attributes:
        family: the world.
        level: the one level, a batch of 1.
        index: its number.
        target: the cell the edited agent is sent to.
        found: what is written; None where nothing can be edited and the edited agent stays away.
        strength: factor on the edit.
        every: whether the edit is in force at every step, not at the first alone.
        unedited: the agent as it is.
        edited: the agent whose activations say that the goal is at the target; absent where nothing is written.
        tally: how often each of the two ended where, over the episodes that both finished.
    """

    def __init__(
        self,
        agent: Agent,
        family: Family,
        found: FittedEdit | None,
        *,
        shift: str,
        seed: int,
        index: int = 0,
        strength: float = 1.0,
        every: bool = True,
    ) -> None:
        self.agent, self.family, self.found = agent, family, found
        self.strength, self.every = strength, every
        self._shift, self._seed = shift, seed
        self.clear_tally()
        self.show(index)

    def show(self, index: int) -> None:
        """Turn to level number `index`, with a random target."""
        level = self.family.levels(self._seed, [index], self._shift, EVALUATION)
        self.index = index
        self.put(level, int(draw_targets(level, self._seed + index)[0]))

    def put(self, level: LevelBatch, target: int) -> None:
        """Turn to a level of one's own, a batch of 1, with a target in it."""
        self.level, self.target = level, target
        self.restart()

    def clear_tally(self) -> None:
        """Begin to count anew."""
        self.tally: dict[str, dict[str, int]] = {"unedited": {}, "edited": {}}

    def restart(self) -> None:
        """Put both agents back to the start."""
        goal, cue = self.family.goal, self.family.cue
        lone = why_not_edited(self.family) is not None
        self.unedited = self._walker(() if lone else (goal, cue))
        self.edited = self._walker(() if lone else (goal, TARGET))

    @property
    def walkers(self) -> dict[str, AgentEpisode]:
        """The agents that take part, by name."""
        return {"unedited": self.unedited} | ({} if self.found is None else {"edited": self.edited})

    @property
    def finished(self) -> bool:
        """Whether all agents have arrived or run out of time."""
        return all(walker.outcome != WALKING for walker in self.walkers.values())

    @property
    def edits(self) -> list[Edit]:
        """The edits in force at the edited agent's next step, one for each site that is written."""
        if self.found is None or (self.edited.steps > 0 and not self.every):
            return []
        return self.found.edits(GoalMove.on(self.level, self.target), self.strength)

    def step(self) -> None:
        """Let all agents that are still walking take one step; the edit is in force for one of them only."""
        if self.finished:
            return
        self._advance(self.unedited)
        edits = self.edits
        if self.found is not None and self.edited.outcome == WALKING:
            with applied(self.agent.policy, edits):
                self._advance(self.edited)
        self._keep_tally()

    def nudge_target(self, down: int, right: int) -> None:
        """Move the target to the next free cell in a direction, over walls if need be; it is in force at once."""
        row, column = divmod(self.target, self.level.width)
        row, column = row + down, column + right
        while 0 <= row < self.level.height and 0 <= column < self.level.width:
            if not self.level.walls[0, row, column]:
                self.target = row * self.level.width + column
                return
            row, column = row + down, column + right

    def _keep_tally(self) -> None:
        if self.finished:
            for name, walker in self.walkers.items():
                self.tally[name][walker.outcome] = self.tally[name].get(walker.outcome, 0) + 1

    def _walker(self, seeks: tuple[str, ...]) -> AgentEpisode:
        records = stepwise(self.agent.policy, self.level, seed=self._seed + self.index)
        return AgentEpisode(records, make_engine(self.level), seeks, [int(self.level.start[0])])

    def _advance(self, walker: AgentEpisode) -> None:
        if walker.outcome != WALKING:
            return
        record = next(walker.records)
        walker.episodes.step(record.actions)
        walker.trail.append(int(record.agent[0]))
        walker.returns += record.rewards[0]
        here = [kind for kind, cell in zip(self.level.slots, self.level.objects[0], strict=True) if cell == walker.cell]
        here += [TARGET] if walker.cell == self.target else []
        over = bool(record.terminated[0]) or walker.steps >= self.family.time_limit
        end = OVER if record.terminated[0] and not walker.seeks else NOWHERE
        walker.outcome = next((thing for thing in walker.seeks if thing in here), end if over else WALKING)


@functools.lru_cache(maxsize=64)
def why_not_edited(family: Family) -> str | None:
    """Return in a sentence why an agent's goal cannot be rewritten in a world, or None where it can.

    An edit says of one goal that it is elsewhere, and is found on mazes where one cue stands on the goal.
    """
    object_types = {kind.name: kind for kind in family.object_types}
    for what in (family.goal, family.cue):
        placed = {place.which for place in family.placements(NO_SHIFT) if place.kind == what}
        if len(placed) > 1:
            return (
                f"{family.name} has several goals and cues ({len(placed)} x {what}) and an edit moves one goal, so the "
                "agent is shown as it is."
            )
        if object_types[what].motion != "still" or object_types[what].fills or not placed:
            return f"The {what} of {family.name} cannot be moved, so the agent is shown as it is."
    return None


def with_moved(level: LevelBatch, what: str, cell: int, which: int = 0) -> LevelBatch:
    """Return a level with the agent or the `which`-th object of a kind on another cell.

    Raises:
        GoalmazeError: no such thing in the level, or it cannot stand there.
    """
    if what == AGENT:
        return level.started(cell)
    if what not in level.slots:
        raise unknown("thing to move", what, {AGENT, TARGET, *level.slots})
    if level.cells(what, which)[0] == ABSENT:
        raise GoalmazeError(f"there is no {what} in this level to move; choose another shift or draw one as text")
    return level.moved(what, cell, which)


def with_wall(level: LevelBatch, cell: int, up: bool, target: int) -> LevelBatch:
    """Return a level with a wall put up or taken down.

    Raises:
        GoalmazeError: at the border, under the target, or where something stands.
    """
    row, column = divmod(cell, level.width)
    if not (0 < row < level.height - 1 and 0 < column < level.width - 1):
        raise GoalmazeError("the border stays closed; draw inside of it")
    if up and cell == target:
        raise GoalmazeError("the target stands there; move it first")
    walls = level.walls.copy()
    walls[0, row, column] = up
    changed = dataclasses.replace(level, walls=walls)
    changed.check()
    return changed
