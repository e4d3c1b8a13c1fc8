"""Numbers that mean nothing are refused by the types that hold them, before anything is done."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from complaints import complaint

from goalmaze.agents.training.algorithms import make_algorithm, make_environments
from goalmaze.agents.training.recipe import RANGES, Recipe, recipe_from
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.ranges import check_number
from goalmaze.experiments import cli

REQUIRED: dict[str, Any] = {"agent": "zoo:green-exit", "plan": "p", "name": "env", "source": "langosco", "file": "f"}


def config_of(command: str, **options: Any) -> Any:
    config = cli.COMMANDS[command][0]
    needed = [field for field in dataclasses.fields(config) if field.default is dataclasses.MISSING]
    given = {field.name: REQUIRED.get(field.name, Path("out.html")) for field in needed}
    return config(**(given | options))


NUMBERS = [
    (command, field.name)
    for command, (config, _) in cli.COMMANDS.items()
    for field in dataclasses.fields(config)
    if isinstance(field.default, float | int) and not isinstance(field.default, bool)
]


def test_every_command_with_numbers_is_tried() -> None:
    assert {"train", "sweep", "eval", "probe", "retarget", "live", "render", "families", "report"} <= dict(
        NUMBERS
    ).keys()


@pytest.mark.parametrize(("command", "name"), NUMBERS, ids=lambda word: str(word))
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**30])
def test_no_option_takes_a_number_that_is_not_finite_or_absurd(command: str, name: str, value: float) -> None:
    config_of(command)
    with pytest.raises(GoalmazeError, match=f"--{name.replace('_', '-')} is "):
        config_of(command, **{name: value})


@pytest.mark.parametrize("name", RANGES)
def test_a_recipe_takes_the_ends_of_its_ranges_and_nothing_beyond(name: str) -> None:
    low, high = RANGES[name]
    for value in (low, high):
        check_number(name, value, low, high)
    step = 1 if isinstance(getattr(Recipe, name), int) else 0.5
    for value in (low - step, high + step, *([] if step == 1 else [math.nan, math.inf])):
        with pytest.raises(GoalmazeError, match=f"^{name} is "):
            recipe_from({name: value})
    assert low <= getattr(Recipe, name) <= high


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"envs": 2**16, "rollout_steps": 2**16}, "a rollout of 65536 x 65536 steps is more than"),
        ({"family": "x" * 5000}, "family has 5,000 characters"),
        ({"start": "x" * 5000}, "start has 5,000 characters"),
    ],
)
def test_a_recipe_that_would_fill_the_memory_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(GoalmazeError, match=message):
        recipe_from(changes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "sb3-ppo", "algorithm_options": {"vf_coef": math.nan}}, "option vf_coef of .* is nan"),
        ({"algorithm": "sb3-ppo", "algorithm_options": {"n_steps": 10**12}}, "algorithm sb3-ppo refuses its options"),
        (
            {"algorithm": "sb3-dqn", "algorithm_options": {"replay_buffer_kwargs": 1}},
            "algorithm sb3-dqn refuses its options",
        ),
    ],
)
def test_options_that_an_algorithm_cannot_have_are_refused(options: dict[str, Any], message: str) -> None:
    small = {"envs": 4, "rollout_steps": 4, "minibatches": 2, "parameters": {"size": 5}}
    recipe = recipe_from({**small, **options})
    with pytest.raises(GoalmazeError, match=message):
        make_algorithm(recipe, make_environments(recipe))


def test_mazes_have_a_largest_size() -> None:
    make_family("GreenExit", {"size": 255})
    with pytest.raises(GoalmazeError, match="size is 257: mazes have at most 255"):
        make_family("GreenExit", {"size": 257})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["retarget", "zoo:green-exit", "--strength", "nan"], "--strength is nan: choose a finite number"),
        (["render", "zoo:green-exit", "--out", "x.png", "--strength", "inf"], "--strength is inf"),
        (["eval", "zoo:green-exit", "--levels", "99999999999"], "--levels is 99999999999: choose 1 to 1000000"),
        (["train", "--set", "learning_rate=NaN"], "learning_rate is nan"),
        (["train", "--set", "envs=-5"], "envs is -5: choose 1 to 65536"),
        (["train", "--size", "99999"], "size is 99999: mazes have at most 255"),
        (["train", "--network-options", "channels=1000000000"], "channels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_command_line_answers_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in complaint(capsys, *arguments)
