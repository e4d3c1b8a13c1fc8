"""How an agent was made: the training log, recipe and seed of its run folder, as far as it holds them."""

from __future__ import annotations

import csv
import dataclasses
import math

from goalmaze.agents.checkpoints import Header
from goalmaze.agents.loading import ZOO_PREFIX, Agent, locate
from goalmaze.agents.training.log import LOG, read_log
from goalmaze.agents.training.recipe import Recipe
from goalmaze.agents.training.run import read_recipe
from goalmaze.agents.zoo import entry_of
from goalmaze.envs.errors import GoalmazeError

CURVES = ("solved", "return", "cue_return", "entropy")
"""The columns of a log that are drawn over its column `steps`."""

UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Origin:
    """How an agent was made.

    Attributes:
        header: of its checkpoint.
        recipe: that it was trained with; None where its folder holds none that can be read.
        command: that made it; empty where it is unknown.
        steps: of each line of its log.
        curves: column → values, one for each of `steps`, NaN where unknown.
        missing: why there are no curves; empty where there are.
    """

    header: Header
    recipe: Recipe | None
    command: str
    steps: tuple[int, ...]
    curves: dict[str, tuple[float, ...]]
    missing: str = ""

    @property
    def seed(self) -> str:
        """The training seed, or `UNKNOWN`."""
        return UNKNOWN if self.recipe is None else str(self.recipe.seed)

    @property
    def reward(self) -> str:
        """The reward that it was trained on, or `UNKNOWN`."""
        return UNKNOWN if self.recipe is None else f"{self.recipe.reward} reward"


def origin(agent: Agent) -> Origin:
    """Return how an agent was made, from its run folder.

    Raises:
        GoalmazeError: the agent was not loaded from a checkpoint.
    """
    if agent.header is None:
        raise GoalmazeError(f"agent {agent.name} was not loaded from a checkpoint: give its run folder or zoo:NAME")
    place = locate(agent.name)
    try:
        recipe = read_recipe(place.folder, place.number)[0]
    except GoalmazeError:
        recipe = None
    zoo = agent.name.removeprefix(ZOO_PREFIX).partition("/")[0]
    command = entry_of(zoo).command if agent.name.startswith(ZOO_PREFIX) else ""
    # A report on behaviour does not need the log: an agent that others published has none.
    try:
        lines = read_log(place.folder, place.number)
        steps = tuple(int(line["steps"]) for line in lines)
        curves = {name: tuple(_number(line[name]) for line in lines) for name in CURVES}
    except OSError:
        return Origin(agent.header, recipe, command, (), {}, f"it comes without a {LOG}")
    except (ValueError, KeyError, TypeError, csv.Error):
        return Origin(agent.header, recipe, command, (), {}, f"its {LOG} cannot be read")
    return Origin(agent.header, recipe, command, steps, curves, "" if steps else f"its {LOG} is empty")


def _number(text: str) -> float:
    # An entry is empty before the first episode ended.
    value = float(text) if text else math.nan
    return value if math.isfinite(value) else math.nan
