"""The options of `goalmaze sweep`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import CommandConfig, Limits, Words, option

MAX_WORKERS = 1024
"""Largest number of processes of this machine."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepConfig(CommandConfig):
    """Train agents over seeds and dials, on processes of this machine or on a cluster, into one table.

    Attributes:
        plan: a TOML file with a recipe, dials and seeds, or the name of a plan that ships.
        seeds: training seeds in place of the plan's, such as 0-4 or 0,3.
        arms: arms of the plan to train, beside those that they start from.
        out: the folder of the sweep. A sweep that is started again continues there.
        workers: number of processes.
        cluster: address of a Dask scheduler, such as tcp://127.0.0.1:8786; its workers must see the folder too.
        device: the device that the runs are trained on; auto is cuda where there is one. Runs keep the settings of the
            plan and the defaults of the CPU on every device.
        save_every: seconds between saves, from which a run continues after its worker died.
        gather: train nothing; print the results of the finished runs.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze sweep colour-shape",
        "goalmaze sweep my.toml --workers 4",
        "goalmaze sweep my.toml --gather --markdown",
    )

    limits: ClassVar[Limits] = {"workers": (0, MAX_WORKERS), "save_every": (0, None)}

    plan: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PLAN")]
    seeds: Annotated[str | None, option("LIST", "the plan's")] = None
    arms: Words = ()
    out: Annotated[Path | None, option("PATH", "runs/PLAN")] = None
    workers: Annotated[int, option("INT", "0, one a core")] = 0
    cluster: Annotated[str, option("ADDRESS", "none")] = ""
    device: Annotated[Literal["cpu", "cuda", "auto"] | None, option("{cpu,cuda,auto}", "the plan's, or cpu")] = None
    save_every: float = 30.0
    gather: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers and self.cluster:
            raise GoalmazeError("--workers counts processes of this machine and --cluster has its own: leave one out")
