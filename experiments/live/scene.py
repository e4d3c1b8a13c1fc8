"""A scene: one level, a target, and the unedited and the edited agent that act on it step by step. It draws nothing."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from goalmaze.agents.loading import Agent
from goalmaze.agents.policies import Actor, EditContext, NetworkPolicy, RecurrentActor
from goalmaze.agents.rollout import StepRecord, stepwise
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.engines import Engine, make_engine
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.levels import EVALUATION, NO_SHIFT, Family, LevelBatch
from goalmaze.envs.objects import AGENT
from goalmaze.envs.observations.views import View
from goalmaze.envs.solving import lies_on_shortest_path
from goalmaze.probes.edits.base import Edit, acting, applied, at_first_steps
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.goal_move import GoalMove
from goalmaze.probes.targets import draw_targets, has_target_cells

SEARCHED_LEVELS = 64
"""Levels that `first_clear_level` looks at."""

WALKING, NOWHERE, TARGET, OVER = "walking", "nowhere", "target", "over"


@dataclasses.dataclass
class ActingPolicy:
    """A policy whose actor can be read while it acts.

    Attributes:
        policy: the policy.
        actor: acts in the episode; None before its first step.
    """

    policy: NetworkPolicy
    actor: Actor | None = None

    def begin(self, levels: LevelBatch) -> Actor:
        """Return the policy's actor, and keep it."""
        self.actor = self.policy.begin(levels)
        return self.actor

    def view(self, family: Family) -> View:
        """Return the policy's view of levels of a family."""
        return self.policy.view(family)


@dataclasses.dataclass
class AgentEpisode:
    """The episode of one of the two agents.

    Attributes:
        agent: the agent.
        acting: its policy, in this episode.
        records: the steps of the episode.
        engine: the same episode, a batch of 1, from which the current objects are read.
        stops_at: what ends the episode when the agent enters it, "target" or types of object; empty where only the
            family's rules end it.
        trail: cells visited so far, the current one last.
        outcome: `WALKING` while the agent acts; then what it reached first ("target" or a type of object), `OVER` where
            the family's rules ended the episode and `stops_at` is empty, or `NOWHERE` at the time limit.
        returns: float64 [2], true and cue return so far.
        number: of the episode; no other episode has it.
    """

    agent: Agent
    acting: ActingPolicy
    records: Iterator[StepRecord]
    engine: Engine
    stops_at: tuple[str, ...]
    trail: list[int]
    outcome: str = WALKING
    returns: NDArray[np.float64] = dataclasses.field(default_factory=lambda: np.zeros(2))
    number: int = dataclasses.field(default_factory=itertools.count().__next__)

    @property
    def cell(self) -> int:
        """The agent's cell."""
        return self.trail[-1]

    @property
    def steps(self) -> int:
        """Steps taken."""
        return len(self.trail) - 1

    @property
    def memory(self) -> Tensor | None:
        """[1, ...], what the agent remembers now; None before its first step and for an agent without memory."""
        return self.acting.actor.memory if isinstance(self.acting.actor, RecurrentActor) else None


class Scene:
    """One agent twice, unedited and with its goal rewritten, on the same level and with the same random numbers.

    With another agent, that one acts in place of the edited one, and nothing is edited.

    Attributes:
        agent: the agent.
        other: the other agent, if any.
        family: the family of the level.
        level: the level, a batch of 1.
        index: the index of the level.
        drawn: whether the level was drawn by hand and is not the one of the index.
        shift: of the levels.
        seed: of the levels and of the sampled actions.
        target: the cell the edited agent is sent to.
        fitted_edit: what makes the edits; None where the family cannot be edited and only the unedited agent acts.
        strength: factor on the edits.
        first_steps: number of first steps of an episode at which the edits act; None for all steps.
        unedited: the episode of the unedited agent.
        edited: the episode of the edited or of the other agent; not used where there is neither.
        tally: counts of outcomes by agent, over the episodes that both agents finished.
    """

    def __init__(
        self,
        agent: Agent,
        family: Family,
        fitted_edit: FittedEdit | None,
        *,
        shift: str,
        seed: int,
        index: int = 0,
        strength: float = 1.0,
        first_steps: int | None = None,
        other: Agent | None = None,
    ) -> None:
        self.agent, self.other, self.family = agent, other, family
        self.fitted_edit = None if other is not None else fitted_edit
        self.strength, self.first_steps = strength, first_steps
        self.shift, self.seed = shift, seed
        self.clear_tally()
        self.show_level(index)

    def show_level(self, index: int) -> None:
        """Change to the level of an index, with a random target."""
        level, target = level_and_target(self.family, self.shift, self.seed, index)
        self.index, self.drawn = index, False
        self.set_level(level, target)

    def set_level(self, level: LevelBatch, target: int) -> None:
        """Change to a given level, a batch of 1, with a target in it."""
        self.level, self.target = level, target
        self.restart()

    def clear_tally(self) -> None:
        """Set all counts to zero."""
        self.tally: dict[str, dict[str, int]] = {"unedited": {}, "edited": {}}

    def restart(self) -> None:
        """Begin the episodes of both agents anew."""
        goal, cue = self.family.goal, self.family.cue
        editable = edit_refusal(self.family) is None
        second = cue if self.other is not None else TARGET
        self.unedited = self._episode(self.agent, (goal, cue) if editable else ())
        self.edited = self._episode(self.other or self.agent, (goal, second) if editable else ())

    @property
    def episodes(self) -> dict[str, AgentEpisode]:
        """The episodes of the agents that take part, by name."""
        alone = self.fitted_edit is None and self.other is None
        return {"unedited": self.unedited} | ({} if alone else {"edited": self.edited})

    @property
    def finished(self) -> bool:
        """Whether the episodes of all agents have ended."""
        return all(episode.outcome != WALKING for episode in self.episodes.values())

    @property
    def edits(self) -> list[Edit]:
        """The edits that act at the edited agent's next step, one for each site."""
        if self.fitted_edit is None:
            return []
        edits = self.fitted_edit.edits(GoalMove.on(self.level, self.target), self.strength)
        next_step = EditContext(np.zeros(1, np.intp), np.array([self.edited.steps]))
        return acting(at_first_steps(edits, self.first_steps), next_step)

    def step(self) -> None:
        """Let each agent whose episode goes on take one step, the edited agent under the edits."""
        if self.finished:
            return
        self._advance(self.unedited)
        # Made before the unedited agent moves, so that both act on the level as it is now.
        edits = self.edits
        if "edited" in self.episodes and self.edited.outcome == WALKING:
            with applied(self.edited.agent.policy, edits):
                self._advance(self.edited)
        self._count_outcomes()

    def move_target(self, down: int, right: int) -> None:
        """Move the target to the next free cell in a direction, over walls where needed; it applies at once."""
        row, column = divmod(self.target, self.level.width)
        row, column = row + down, column + right
        while 0 <= row < self.level.height and 0 <= column < self.level.width:
            if not self.level.walls[0, row, column]:
                self.target = row * self.level.width + column
                return
            row, column = row + down, column + right

    def _count_outcomes(self) -> None:
        if self.finished:
            for name, episode in self.episodes.items():
                self.tally[name][episode.outcome] = self.tally[name].get(episode.outcome, 0) + 1

    def _episode(self, agent: Agent, stops_at: tuple[str, ...]) -> AgentEpisode:
        acting = ActingPolicy(agent.policy)
        records = stepwise(acting, self.level, seed=self.seed + self.index)
        return AgentEpisode(agent, acting, records, make_engine(self.level), stops_at, [int(self.level.start[0])])

    def _advance(self, episode: AgentEpisode) -> None:
        if episode.outcome != WALKING:
            return
        record = next(episode.records)
        episode.engine.step(record.actions)
        episode.trail.append(int(record.agent[0]))
        episode.returns += record.rewards[0]
        entered = [
            name for name, cell in zip(self.level.slots, self.level.objects[0], strict=True) if cell == episode.cell
        ]
        entered += [TARGET] if episode.cell == self.target else []
        over = bool(record.terminated[0]) or episode.steps >= self.family.time_limit
        end = OVER if record.terminated[0] and not episode.stops_at else NOWHERE
        episode.outcome = next((name for name in episode.stops_at if name in entered), end if over else WALKING)


@functools.lru_cache(maxsize=64)
def edit_refusal(family: Family) -> str | None:
    """Return a sentence on why an agent's goal cannot be rewritten in a family, or None where it can.

    An edit moves one goal, and is fitted on mazes with one cue on the goal.
    """
    object_types = {one.name: one for one in family.object_types}
    for name in (family.goal, family.cue):
        numbers = {place.which for place in family.placements(NO_SHIFT) if place.kind == name}
        if len(numbers) > 1:
            return (
                f"{family.name} has several goals and cues ({len(numbers)} x {name}) and an edit moves one goal, so "
                "only the unedited agent is shown."
            )
        if object_types[name].motion != "still" or object_types[name].fills or not numbers:
            return f"The {name} of {family.name} cannot be moved, so only the unedited agent is shown."
    return None


def first_clear_level(family: Family, shift: str, seed: int) -> int:
    """Return the index of the first level whose goal lies on no shortest path to its target; 0 where there is none.

    The edited agent's episode ends where it enters the goal, so on other levels an edit that works cannot show it. The
    choice depends on the maze alone and not on what an agent does there.
    """
    if edit_refusal(family) is not None:
        return 0
    for index in range(SEARCHED_LEVELS):
        level, target = level_and_target(family, shift, seed, index)
        goal = level.cells(family.goal)
        if not lies_on_shortest_path(level, level.start, np.array([target], np.int32), goal)[0]:
            return index
    return 0


def level_and_target(family: Family, shift: str, seed: int, index: int) -> tuple[LevelBatch, int]:
    """Return the level of an index, a batch of 1, and its random target."""
    level = family.levels(seed, [index], shift, EVALUATION)
    if has_target_cells(level)[0]:
        return level, int(draw_targets(level, seed + index)[0])
    # No cell is without agent and object. The target is then on one of them, where it can still be seen and moved.
    return level, int(np.flatnonzero(level.free()[0])[-1])


def with_moved(level: LevelBatch, what: str, cell: int, which: int = 0) -> LevelBatch:
    """Return a level with the agent or the `which`-th object of a type on another cell.

    Raises:
        GoalmazeError: there is no such object in the level, or it cannot stand on the cell.
    """
    if what == AGENT:
        return level.started(cell)
    if what not in level.slots:
        raise unknown("object to move", what, {AGENT, TARGET, *level.slots})
    if level.cells(what, which)[0] == ABSENT:
        raise GoalmazeError(f"there is no {what} in this level to move; choose another shift or paste a level as text")
    return level.moved(what, cell, which)


def with_wall(level: LevelBatch, cell: int, up: bool, target: int) -> LevelBatch:
    """Return a level with a wall added or removed.

    Raises:
        GoalmazeError: the cell is at the border, or has the target, the agent or an object on it.
    """
    row, column = divmod(cell, level.width)
    if not (0 < row < level.height - 1 and 0 < column < level.width - 1):
        raise GoalmazeError("the border must stay closed; draw inside it")
    if up and cell == target:
        raise GoalmazeError("the target is on this cell; move it first")
    walls = level.walls.copy()
    walls[0, row, column] = up
    changed = dataclasses.replace(level, walls=walls)
    changed.check()
    return changed
