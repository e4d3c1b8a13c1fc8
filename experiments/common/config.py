"""Options of several commands. This module imports nothing heavy, because every `--help` imports it."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar

import tyro.conf

from goalmaze.envs.errors import GoalmazeError


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
    """

    examples: ClassVar[tuple[str, ...]] = ()
    lists: ClassVar[tuple[str, ...]] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationConfig(CommandConfig):
    """The options of a command that evaluates on held-out levels.

    Attributes:
        levels: number of held-out evaluation levels.
        seed: seed of the levels and of the agent's sampled actions.
        size: rows and columns of the mazes, in cells.
    """

    levels: int = 512
    seed: int = 0
    size: Size = None

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise GoalmazeError(f"--levels is {self.levels}: choose 1 or more")
        if self.seed < 0:
            raise GoalmazeError(f"--seed is {self.seed}: choose 0 or more")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How the result is printed, and which code of your own is loaded first.

    Attributes:
        json: print one JSON object instead of text.
        csv: print the tables as comma-separated values.
        latex: print the tables as LaTeX (package booktabs).
        markdown: print the tables as Markdown.
        imports: a Python file or a module to import first, such as my_worlds.py with a family of your own.
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

    def __post_init__(self) -> None:
        if self.json + self.csv + self.latex + self.markdown > 1:
            raise GoalmazeError("--json, --csv, --latex and --markdown are four formats: choose one")
