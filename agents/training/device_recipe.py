"""The settings that a recipe takes from its device where they are not given.

A GPU is idle with the batches of the default recipe, which suit a CPU. One agent that is trained alone on a GPU
therefore takes larger batches, more steps and a larger learning rate. Agents that are trained side by side, in a
population or a sweep, keep the batches of the CPU on every device: they fill the GPU together, and each is the agent
that the CPU trains, up to rounding.
"""

from __future__ import annotations

import dataclasses
from typing import cast

from goalmaze.agents.devices import DeviceName, find_device
from goalmaze.agents.training.device_defaults import is_by_device, plain
from goalmaze.agents.training.recipe import Recipe
from goalmaze.envs.json_data import JsonObject

LARGE_BATCHES: JsonObject = {"steps": 4_000_000, "envs": 2048, "learning_rate": 6e-3}
"""The settings of one agent on a GPU. They belong together: each is right for the others alone."""

BATCH_SETTINGS = ("envs", "rollout_steps", "minibatches", "learning_rate")
"""The settings that must all be left open for `LARGE_BATCHES`."""


def for_device(recipe: Recipe, device: str, *, together: bool = False) -> Recipe:
    """Return the recipe of an agent on a device, with every setting decided.

    Settings that were given stay. On a GPU networks run in bfloat16 where no precision is given, and the settings of an
    agent that is trained alone become those of `LARGE_BATCHES`, unless a setting of the batches or fewer steps were
    given.

    Args:
        recipe: the recipe; its own device is replaced.
        device: the device, "cpu" or "cuda".
        together: whether the agent is trained as one of a population.
    """
    chosen: JsonObject = {"device": device}
    if device == "cuda" and recipe.algorithm == "ppo":
        if is_by_device(recipe.precision):
            chosen["precision"] = "bf16"
        has_steps = is_by_device(recipe.steps) or recipe.steps >= LARGE_BATCHES["steps"]
        if has_steps and not together and all(is_by_device(getattr(recipe, name)) for name in BATCH_SETTINGS):
            chosen |= {name: value for name, value in LARGE_BATCHES.items() if is_by_device(getattr(recipe, name))}
    return dataclasses.replace(decided(recipe), **chosen)


def on_device(recipe: Recipe, device: str) -> Recipe:
    """Return a decided recipe as another device goes on with it: a CPU in float32, a GPU in the recipe's precision.

    Raises:
        GoalmazeError: there is no such device.
    """
    found = find_device(device).type
    precision = "fp32" if found == "cpu" != recipe.device else recipe.precision
    return dataclasses.replace(recipe, device=cast(DeviceName, found), precision=precision)


def decided(recipe: Recipe) -> Recipe:
    """Return the same recipe with every setting decided, so that no device replaces one."""
    values: JsonObject = {field.name: plain(getattr(recipe, field.name)) for field in dataclasses.fields(recipe)}
    return dataclasses.replace(recipe, **values)


def choices_of(recipe: Recipe, resolved: Recipe) -> str:
    """Return the settings that a device chose, as text such as "envs=2048 precision=bf16"; empty if there are none."""
    names = [field.name for field in dataclasses.fields(recipe) if field.name != "device"]
    chosen = [name for name in names if getattr(recipe, name) != getattr(resolved, name)]
    return " ".join(f"{name}={getattr(resolved, name)}" for name in chosen)
