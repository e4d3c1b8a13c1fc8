"""The plan of a population: the seed and the parameters of each of its agents. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from typing import Self

import msgspec

from goalmaze.agents.training.recipe import Recipe
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject

KEY = "population"
"""Key in the recipe file."""


@dataclasses.dataclass(frozen=True)
class PopulationPlan:
    """The agents of a population, in the order of their numbers.

    Attributes:
        seeds: the training seed of each agent.
        parameters: for each agent, the parameters of its family that differ between the agents.
    """

    seeds: tuple[int, ...]
    parameters: tuple[JsonObject, ...]

    @classmethod
    def of(cls, content: ReadonlyJsonObject) -> Self:
        """Return the plan in the content of a recipe file.

        Raises:
            GoalmazeError: it is not that of a population, or the plan is no plan.
        """
        try:
            plan = msgspec.convert(content[KEY], cls)
        except KeyError:
            raise GoalmazeError("it is the recipe of one agent, not of a population") from None
        except msgspec.ValidationError as error:
            raise GoalmazeError(f"its {KEY} is no plan: {error}") from None
        if not plan.seeds or len(plan.seeds) != len(plan.parameters):
            raise GoalmazeError(f"its {KEY} has {len(plan.seeds)} seeds and {len(plan.parameters)} sets of parameters")
        return plan

    def __len__(self) -> int:
        return len(self.seeds)

    def recipe(self, base: Recipe, number: int) -> Recipe:
        """Return the recipe that trains one agent alone, given the recipe of the population."""
        parameters = base.parameters | self.parameters[number]
        return dataclasses.replace(base, seed=self.seeds[number], parameters=parameters)

    def json(self) -> JsonObject:
        """Return the plan as the recipe file holds it."""
        return {"seeds": list(self.seeds), "parameters": list(self.parameters)}
