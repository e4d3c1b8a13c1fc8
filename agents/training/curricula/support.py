"""What a curriculum that replays levels needs of the family, and the errors where it is missing."""

from __future__ import annotations

from goalmaze.agents.training.curricula.scores.base import Score, known_scores
from goalmaze.envs.engines import Engine
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.level_edits import has_distinguishing_levels
from goalmaze.envs.maze_engine import MazeEngine
from goalmaze.envs.optimal_returns import is_exact


def check_support(curriculum: str, engine: Engine, score: Score, buffer: int) -> None:
    """Check that a curriculum can train on an engine's family with a score and a buffer.

    Raises:
        GoalmazeError: it cannot; the message says why, and what to choose instead.
    """
    family = engine.family
    if not isinstance(engine, MazeEngine):
        raise GoalmazeError(
            f"curriculum {curriculum} replays levels of goalmaze's own engine, and {family.name} has another one: "
            "choose --curriculum dr"
        )
    if not has_distinguishing_levels(family):
        raise GoalmazeError(
            f"{family.name} has no distinguishing levels that its training levels do not include, so curriculum "
            f"{curriculum} has nothing to find: choose --curriculum dr"
        )
    if score.needs_optimum and not is_exact(family.table):
        others = ", ".join(name for name, one in known_scores().items() if not one.needs_optimum)
        raise GoalmazeError(
            f"score {score.name} needs the optimum of every level, and {family.name} has only a bound of it: choose "
            f"another score ({others})"
        )
    if score.needs_distinguishing and family.mixture == 0:
        raise GoalmazeError(
            f"score {score.name} needs distinguishing levels in training, and mixture is 0: set "
            "--parameters mixture=0.01 or choose another score"
        )
    if buffer < len(engine):
        raise GoalmazeError(
            f"a buffer of {buffer:,} levels is smaller than the {len(engine):,} environments that replay them: raise "
            "buffer or lower envs"
        )
