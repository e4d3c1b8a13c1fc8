"""The options of `goalmaze formation`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

import tyro.conf

from goalmaze.experiments.common.config import CommandConfig, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class FormationConfig(CommandConfig):
    """Follow how a goal forms along training: inside the network, and in its behaviour where goal and cue differ.

    Attributes:
        folder: a run folder with a series of checkpoints, of a population or of one agent.
        others: more run folders, such as the control of the first; registered conditions are known by their name.
        control: a run folder of true-goal twins, the control of all runs that have none by their name.
        no_coefficient: leave out the local learning coefficient, which takes half of the time.
        cache: the folder that keeps measurements, so that a second call takes seconds.
        figures: a folder for the curves of every agent and the animation of one.
        field_agent: the agent whose policy field is animated.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze formation runs/lottery-green --figures figures",
        "goalmaze formation runs/lottery-green runs/lottery-green-twin --json",
    )

    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    others: Annotated[
        tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="[RUN [RUN ...]]", help_behavior_hint="(optional)")
    ] = ()
    control: Annotated[str | None, option("RUN", "by the name of the folder")] = None
    no_coefficient: bool = False
    cache: Annotated[Path | None, option("FOLDER", "~/.cache/goalmaze/formation")] = None
    figures: Annotated[Path | None, option("FOLDER", "none")] = None
    field_agent: int = 0
