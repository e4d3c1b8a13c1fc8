"""The options of `goalmaze bench`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import CommandConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchConfig(CommandConfig):
    """Measure speed on this machine.

    Attributes:
        name: what is measured: env steps environments, eval rolls an agent out, train trains an agent, population
            trains many agents together, probe fits every probe, live moves a target on the live page, site on the
            static page, procgen steps Procgen's maze.
        full: measure a sweep of settings instead of one.
        device: with population, the device; auto is cuda where there is one.
        family: procgen measures Procgen's maze in place of our own families: with env its steps, beside the unchanged
            package, with train the parts of a training on its pictures.
    """

    examples: ClassVar[tuple[str, ...]] = ("goalmaze bench env --json", "goalmaze bench train")

    name: tyro.conf.Positional[Literal["env", "eval", "train", "population", "probe", "live", "site", "procgen"]]
    full: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    family: Literal["", "procgen"] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.family and self.name not in ("env", "train", self.family):
            raise GoalmazeError(
                f"--family {self.family} belongs to bench env and bench train, not to bench {self.name}: leave it out"
            )
        if self.device != "auto" and self.name != "population":
            raise GoalmazeError(f"--device belongs to bench population, not to bench {self.name}: leave it out")

    @property
    def module(self) -> str:
        """Return the name of the module that measures."""
        if not self.family:
            return self.name
        return "train_procgen" if self.name == "train" else self.family
