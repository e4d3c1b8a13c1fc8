"""A scene: one level, a target, and the unedited and the edited agent walking it in step. It draws nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.agents.rollout import Moment, stepwise
from goalmaze.envs.families.base import EVALUATION, Family
from goalmaze.envs.levels import LevelBatch
from goalmaze.probes.directions import GoalPattern
from goalmaze.probes.edits import applied
from goalmaze.probes.targets import draw_targets

WALKING, NOWHERE, TARGET = "walking", "nowhere", "target"


@dataclasses.dataclass
class Walker:
    """One of the two agents on their way.

    Attributes:
        moments: the episode, step by step.
        seeks: what ends its walk, "target" or kinds of object.
        trail: cells stood on so far, the present one last.
        outcome: `WALKING`, the name of what it reached first ("target" or a kind of object), or `NOWHERE`.
    """

    moments: Iterator[Moment]
    seeks: tuple[str, ...]
    trail: list[int]
    outcome: str = WALKING

    @property
    def cell(self) -> int:
        """Where it stands."""
        return self.trail[-1]


class Scene:
    """One agent twice, as it is and with its goal rewritten, on the same level and with equal luck.

    Attributes:
        family: the world.
        level: the one level, a batch of 1.
        index: its number.
        target: the cell the edited agent is sent to.
        unedited: the agent as it is.
        edited: the agent whose activations say that the goal is at the target.
        tally: how often each of the two ended where, over the episodes that both finished.
    """

    def __init__(
        self, agent: Agent, family: Family, pattern: GoalPattern, *, shift: str, seed: int, index: int = 0
    ) -> None:
        self.family = family
        self.tally: dict[str, dict[str, int]] = {"unedited": {}, "edited": {}}
        self._policy = agent.policy
        self._pattern = pattern
        self._shift = shift
        self._seed = seed
        self.show(index)

    def show(self, index: int) -> None:
        """Turn to level number `index`, with a random target."""
        self.index = index
        self.level: LevelBatch = self.family.levels(self._seed, [index], self._shift, EVALUATION)
        self.target = int(draw_targets(self.level, self._seed + index)[0])
        self.restart()

    def restart(self) -> None:
        """Put both agents back to the start."""
        self.unedited = self._walker((self.family.goal, self.family.cue))
        self.edited = self._walker((self.family.goal, TARGET))

    @property
    def finished(self) -> bool:
        """Whether both agents have arrived or run out of time."""
        return WALKING not in (self.unedited.outcome, self.edited.outcome)

    def step(self) -> None:
        """Let both agents that are still walking take one step; the edit is in force for one of them only."""
        if self.finished:
            return
        self._advance(self.unedited)
        goals, targets = self.level.cells(self.family.goal), np.array([self.target], np.int32)
        edit = self._pattern.edit(goals, targets, self.level.height, self.level.width)
        if self.edited.outcome == WALKING:
            with applied(self._policy, [edit]):
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
            for name, walker in (("unedited", self.unedited), ("edited", self.edited)):
                self.tally[name][walker.outcome] = self.tally[name].get(walker.outcome, 0) + 1

    def _walker(self, seeks: tuple[str, ...]) -> Walker:
        moments = stepwise(self._policy, self.level, self.family, seed=self._seed + self.index)
        return Walker(moments, seeks, [int(self.level.start[0])])

    def _advance(self, walker: Walker) -> None:
        if walker.outcome != WALKING:
            return
        moment = next(walker.moments)
        walker.trail.append(int(moment.agent[0]))
        here = [kind for kind, cell in zip(self.level.kinds, self.level.objects[0], strict=True) if cell == walker.cell]
        here += [TARGET] if walker.cell == self.target else []
        over = bool(moment.terminated[0]) or len(walker.trail) > self.family.time_limit
        walker.outcome = next((thing for thing in walker.seeks if thing in here), NOWHERE if over else WALKING)
