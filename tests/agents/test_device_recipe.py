"""A recipe takes settings from its device where they are not given, and only there."""

from __future__ import annotations

import dataclasses
import json
import pickle

import pytest

from goalmaze.agents.training.device_defaults import is_by_device
from goalmaze.agents.training.device_recipe import choices_of, decided, for_device
from goalmaze.agents.training.recipe import Recipe, recipe_from

LARGE = {"steps": 4_000_000, "envs": 2048, "learning_rate": 0.006, "precision": "bf16"}


def chosen(recipe: Recipe, device: str = "cuda") -> dict[str, object]:
    """Return the settings in which the resolved recipe differs from the recipe."""
    resolved = for_device(recipe, device)
    assert resolved.device == device
    pairs = dataclasses.asdict(recipe), dataclasses.asdict(resolved)
    return {name: value for name, value in pairs[1].items() if value != pairs[0][name] and name != "device"}


def test_a_cpu_changes_nothing() -> None:
    assert chosen(Recipe(), "cpu") == {}
    # The numbers of every version so far.
    recipe = for_device(Recipe(), "cpu")
    names = ("steps", "envs", "rollout_steps", "minibatches", "learning_rate", "precision")
    assert [getattr(recipe, name) for name in names] == [300_000, 128, 16, 8, 0.003, "fp32"]


def test_a_gpu_takes_larger_batches() -> None:
    assert chosen(Recipe()) == LARGE
    assert chosen(recipe_from({"seed": 3, "family": "Corner"})) == LARGE
    assert choices_of(Recipe(), for_device(Recipe(), "cuda")) == (
        "steps=4000000 envs=2048 learning_rate=0.006 precision=bf16"
    )


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"envs": 128}, {"precision": "bf16"}),
        ({"learning_rate": 0.003}, {"precision": "bf16"}),
        ({"minibatches": 8}, {"precision": "bf16"}),
        ({"steps": 300_000}, {"precision": "bf16"}),
        ({"precision": "fp32"}, {name: value for name, value in LARGE.items() if name != "precision"}),
        ({"steps": 8_000_000}, {name: value for name, value in LARGE.items() if name != "steps"}),
        ({"algorithm": "sb3-ppo"}, {}),
        ({"envs": 128, "precision": "fp32"}, {}),
    ],
)
def test_settings_that_are_given_stay_even_where_they_equal_the_default(
    given: dict[str, object], taken: dict[str, object]
) -> None:
    assert chosen(recipe_from(given)) == taken
    assert chosen(Recipe(**given)) == taken  # type: ignore[arg-type]


def test_the_mark_of_a_default_survives_copies_and_no_file() -> None:
    recipe = dataclasses.replace(Recipe(), seed=5)
    assert chosen(pickle.loads(pickle.dumps(recipe))) == LARGE
    written = json.loads(json.dumps(dataclasses.asdict(recipe)))
    assert recipe_from(written) == recipe
    # A recipe that was written down is decided: the run of a CPU is repeated as it was.
    assert chosen(recipe_from(written)) == {}


def test_a_decided_recipe_is_the_same_on_every_device() -> None:
    recipe = decided(Recipe())
    assert recipe == Recipe()
    assert chosen(recipe) == {}
    assert not any(is_by_device(value) for value in dataclasses.asdict(for_device(Recipe(), "cuda")).values())
    assert type(recipe.envs) is int


def test_agents_that_are_trained_together_keep_their_batches() -> None:
    for given, precision in (({}, "bf16"), ({"precision": "fp32"}, "fp32")):
        recipe = recipe_from(given)
        together = for_device(recipe, "cuda", together=True)
        assert together == dataclasses.replace(Recipe(), precision=precision, device="cuda")
        assert chosen(together) == {}
