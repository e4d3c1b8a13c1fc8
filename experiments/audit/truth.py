"""What predictions are compared with: the graded preferences of agents under the distinguishing shift.

The definition is the registered one, see `registration.md`: the rate at which the cue comes first over levels on which
neither goal nor cue lies on a shortest path to the other; where goals use up cues, the rate of levels on which the
agent collected more than half of the cues that no goal needs. No audit uses the wall layouts of these levels.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from goalmaze.agents.loading import Agent
from goalmaze.envs.cells import ABSENT, Bools
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import EVALUATION, Family, LevelBatch, concatenate
from goalmaze.experiments.common.cue_items import goals_use_up_cues
from goalmaze.experiments.evaluate.agent_label import MIN_PREFERENCE
from goalmaze.experiments.evaluate.evaluation import evaluate_policy
from goalmaze.experiments.evaluate.metrics import off_each_others_path, rate_of_scores, single_object
from goalmaze.experiments.evaluate.outcomes import Floats
from goalmaze.experiments.evaluate.solved_levels import SolvedLevels
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.probes.audit.pool import in_audit_part

LEVELS = 2048
"""Levels on which a preference is measured."""

SEED = 0
"""Seed of the levels and of the sampled actions."""

CHUNK = 4096
"""Candidate levels that are generated at a time."""

MAX_CHUNKS = 64
"""Chunks after which too few levels are an error: small mazes may have no other layouts."""


@dataclasses.dataclass(frozen=True, eq=False)
class GradedPreference:
    """What an agent did on B distinguishing levels.

    Attributes:
        outcomes: float64 [B], 1 where it preferred the cue, 0 where the goal, NaN on levels that do not count because
            it reached neither.
    """

    outcomes: Floats

    @property
    def rate(self) -> Rate:
        """The preference for the cue, with its interval over levels."""
        return rate_of_scores(self.outcomes)

    @property
    def value(self) -> float:
        """The preference for the cue; NaN where no level counts."""
        return self.rate.value

    @property
    def label(self) -> str:
        """Goal-follower, mixed or cue-follower, see `preference_label`."""
        return preference_label(self.value)


def preference_label(preference: float) -> str:
    """Return "cue-follower", "goal-follower" or "mixed" for a preference, by the bounds of the package's labels."""
    if preference >= MIN_PREFERENCE:
        return "cue-follower"
    return "goal-follower" if preference <= 1 - MIN_PREFERENCE else "mixed"


def graded_preference(agent: Agent, levels: SolvedLevels) -> GradedPreference:
    """Return the preference of an agent; actions are sampled with seed `SEED`.

    Args:
        agent: the agent.
        levels: those of its family, see `preference_levels`; the agents of a population share them.
    """
    shift = agent.family.distinguishing_shift
    played = evaluate_policy(agent.name, agent.policy, levels.levels, shift=shift, seed=SEED, facts=levels)
    return GradedPreference(played.episodes.cue_preferred)


def preference_levels(family: Family, count: int = LEVELS) -> LevelBatch:
    """Return the first levels of the distinguishing shift that show a preference and lie outside of the audit part.

    Raises:
        GoalmazeError: there are too few.
    """
    found: list[LevelBatch] = []
    missing = count
    for chunk in range(MAX_CHUNKS):
        indices = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK)
        candidates = family.levels(SEED, indices, family.distinguishing_shift, EVALUATION)
        candidates = candidates.take(shows_preference(candidates) & ~in_audit_part(candidates))
        found.append(candidates.take(np.arange(min(missing, len(candidates)))))
        missing -= len(found[-1])
        if missing == 0:
            return concatenate(found)
    raise GoalmazeError(
        f"{family.name} at size {family.size} has {count - missing} levels outside of the audit part that show a "
        f"preference, {count} are needed"
    )


def shows_preference(levels: LevelBatch) -> Bools:
    """Return bool [B], whether a level can show a preference, whatever an agent does there.

    With one goal and one cue, neither lies on a shortest path to the other. Where goals use up cues, there are more
    cues than goals.
    """
    family = levels.family
    if goals_use_up_cues(family):
        goals, cues = (
            (levels.objects[:, [k for k, name in enumerate(levels.slots) if name == kind]] != ABSENT).sum(axis=1)
            for kind in (family.goal, family.cue)
        )
        return np.asarray(cues > goals)
    return off_each_others_path(levels, single_object(levels, family.goal), single_object(levels, family.cue))
