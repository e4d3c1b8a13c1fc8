"""Recipes and training states that earlier versions wrote, read under their current names.

Version 0.1 called the training algorithm of a recipe its learner. Its training states have format 1: they hold such a
recipe, and some of their arrays and numbers have other names. Imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goalmaze.envs.errors import GoalmazeError

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


def current_recipe(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a recipe under their current names.

    Raises:
        GoalmazeError: a field is given under both names, or `learner` is none that version 0.1 had.
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


def former_fields(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return the renamed fields of a recipe under the names and with the values that version 0.1 gave them."""
    values = {name: recipe[name] for name in RECIPE_FIELDS.values()}
    former_algorithms = {name: former for former, name in ALGORITHMS.items()}
    values["algorithm"] = former_algorithms[values["algorithm"]]
    return {former: values[name] for former, name in RECIPE_FIELDS.items()}


def current_state(head: Mapping[str, Any], arrays: Arrays) -> tuple[dict[str, Any], Arrays]:
    """Return head and arrays of a training state of format 1 as format 2 has them."""
    numbers = dict(head["numbers"])
    progress, recipe = numbers.pop("place"), current_recipe(numbers.pop("recipe"))
    current = {
        "format": 2,
        "algorithm": head["learner"],
        "numbers": {**numbers, "progress": progress, "recipe": recipe},
    }
    return current, {STATE_ARRAYS.get(name, name): array for name, array in arrays.items()}
