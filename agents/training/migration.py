"""Migration: recipes and training states of earlier versions under their current names. Imports nothing heavy.

In version 0.1 the training algorithm of a recipe was its `learner`. Training states of version 0.1 have format 1: they
hold such a recipe, and some of their arrays and numbers have other names. In format 2 the episodes of a run have one
record, where format 3 has one for each seed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject

if TYPE_CHECKING:
    from goalmaze.agents.training.sb3_environment import Arrays

RECIPE_FIELDS = {"learner": "algorithm", "learner_options": "algorithm_options"}
"""Former field of a recipe → field."""

ALGORITHMS = {"lean": "ppo", "stock": "sb3-ppo", "a2c": "sb3-a2c", "dqn": "sb3-dqn"}
"""Former value of `learner` → value of `algorithm`."""

STATE_ARRAYS = {
    "environments/state.routes": "environments/state.leader_paths",
    "environments/state.held": "environments/state.items",
    "environments/state.touched": "environments/state.entered",
    "environments/state.luck": "environments/state.streams",
}
"""Array of a training state of format 1 → array of format 2."""

SEED_ARRAYS = {
    "environments/recent": "environments/recent",
    "environments/episodes": "environments/episodes",
    "environments/level_seed": "environments/level_seeds",
}
"""Array of a training state of format 2 → array of format 3, which has a first axis for the seeds."""


def current_recipe(data: ReadonlyJsonObject) -> JsonObject:
    """Return the fields of a recipe under their current names.

    Raises:
        GoalmazeError: a field is given under both names, or `learner` has a value that version 0.1 did not have.
    """
    for former, name in RECIPE_FIELDS.items():
        if former in data and name in data:
            raise GoalmazeError(f"{former} is the former name of {name}, and both are given; remove {former}")
    fields = {RECIPE_FIELDS.get(name, name): value for name, value in data.items()}
    if "learner" in data:
        if str(data["learner"]) not in ALGORITHMS:
            raise GoalmazeError(
                f"learner {data['learner']!r} is unknown, and learner is the former name of algorithm; write algorithm "
                f"with one of {', '.join(ALGORITHMS.values())}"
            )
        fields["algorithm"] = ALGORITHMS[str(data["learner"])]
    return fields


def former_fields(recipe: ReadonlyJsonObject) -> JsonObject:
    """Return the renamed fields of a recipe under the names and with the values of version 0.1."""
    values = {name: recipe[name] for name in RECIPE_FIELDS.values()}
    former_algorithms = {name: former for former, name in ALGORITHMS.items()}
    values["algorithm"] = former_algorithms[values["algorithm"]]
    return {former: values[name] for former, name in RECIPE_FIELDS.items()}


def current_state(head: JsonObject, arrays: Arrays) -> tuple[JsonObject, Arrays]:
    """Return head and arrays of a training state of an earlier format in format 3."""
    if head["format"] == 1:
        head, arrays = _from_format_1(head, arrays)
    if head["format"] == 2:
        head, arrays = {**head, "format": 3}, _with_seed_axis(arrays)
    return head, arrays


def _with_seed_axis(arrays: Arrays) -> Arrays:
    """Return the arrays of a state of format 2 in format 3: those of one seed get a first axis."""
    return {
        SEED_ARRAYS.get(name, name): array[None] if name in SEED_ARRAYS else array for name, array in arrays.items()
    }


def _from_format_1(head: ReadonlyJsonObject, arrays: Arrays) -> tuple[JsonObject, Arrays]:
    """Return head and arrays of a training state of format 1 in format 2."""
    numbers = dict(head["numbers"])
    progress, recipe = numbers.pop("place"), current_recipe(numbers.pop("recipe"))
    # A literal 2 and not the current format: a later format needs a migration of its own from 2.
    current = {
        "format": 2,
        "algorithm": head["learner"],
        "numbers": {**numbers, "progress": progress, "recipe": recipe},
    }
    return current, {STATE_ARRAYS.get(name, name): array for name, array in arrays.items()}
