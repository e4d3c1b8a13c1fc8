"""Options of several commands. This module imports nothing heavy, because every `--help` imports it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.ranges import MAX_RUN_SEED, check_number
from goalmaze.envs.text_files import expanded

MAX_LEVELS = 1_000_000
"""Largest number of levels; the trajectories of more fill the memory of most machines."""

Limits: TypeAlias = Mapping[str, tuple[float | None, float | None]]
"""Field → smallest and largest value; None where there is no bound."""


def option(metavar: str, default: str) -> Any:
    """Return the annotation of an option whose default depends on something else, so that help names that default.

    The type is Any because tyro's annotations have no common public type.

    Args:
        metavar: what stands for the value in help, such as "INT".
        default: what help says the default is.
    """
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


AgentName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="AGENT")]
MoreAgents = Annotated[
    tyro.conf.Positional[tuple[str, ...]],
    tyro.conf.arg(metavar="[AGENT [AGENT ...]]", help_behavior_hint="(optional)"),
]
Words = Annotated[tuple[str, ...], tyro.conf.arg(help_behavior_hint="(default: none)")]
"""Any number of words."""

Size = Annotated[int | None, option("INT", "the agent's training size")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class CommandConfig:
    """The options of a command.

    Attributes:
        examples: commands that `--help` shows.
        lists: the kinds of names that `--help` lists, keys of `goalmaze.experiments.common.choices.CHOICES`.
        limits: the smallest and the largest value of options that are numbers.

    Raises:
        GoalmazeError: a number is not finite, or outside its limits.
    """

    examples: ClassVar[tuple[str, ...]] = ()
    lists: ClassVar[tuple[str, ...]] = ()
    limits: ClassVar[Limits] = {}

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Path):
                # Shells expand ~ at the beginning of a word only, and so not in --out=~/runs.
                object.__setattr__(self, field.name, expanded(value))
            elif value is not None:
                check_number(f"--{field.name.replace('_', '-')}", value, *self.limits.get(field.name, (None, None)))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceConfig(CommandConfig):
    """The options of a command that runs networks.

    Attributes:
        device: the device that networks run on; auto is cuda where there is one. Results of cpu are the same at every
            run; those of cuda agree with them up to rounding.
    """

    device: Literal["cpu", "cuda", "auto"] = "cpu"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig(CommandConfig):
    """The options of a command that evaluates on held-out levels.

    Attributes:
        levels: number of held-out evaluation levels.
        seed: seed of the levels and of the agent's sampled actions.
        size: rows and columns of the mazes, in cells.
    """

    limits: ClassVar[Limits] = {"levels": (1, MAX_LEVELS), "seed": (0, MAX_RUN_SEED)}

    levels: int = 512
    seed: int = 0
    size: Size = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How the result is printed, and which code of your own is loaded first.

    Attributes:
        json: print one JSON object instead of text.
        csv: print the tables as comma-separated values.
        latex: print the tables as LaTeX (package booktabs).
        markdown: print the tables as Markdown.
        imports: a Python file or a module to import first, such as my_worlds.py with a family of your own.
        traceback: print where an unexpected error happened, for a report of a fault.
    """

    json: bool = False
    csv: bool = False
    latex: bool = False
    markdown: bool = False
    imports: Annotated[
        tuple[str, ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(name="import", metavar="FILE", help_behavior_hint="(repeatable)"),
    ] = ()
    traceback: bool = False

    def __post_init__(self) -> None:
        if self.json + self.csv + self.latex + self.markdown > 1:
            raise GoalmazeError("--json, --csv, --latex and --markdown are four formats: choose one")
