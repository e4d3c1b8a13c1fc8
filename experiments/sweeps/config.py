"""The options of `goalmaze sweeps`. Imports nothing heavy, so help comes quickly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro.conf

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.config import CommandConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepConfig(CommandConfig):
    """Train agents over seeds and dials, on processes of this machine or on a cluster, into one table.

    Attributes:
        plan: a TOML with a recipe, dials and seeds, or the name of one that ships.
        out: the folder of the sweep; runs/NAME where not given. Started again, a sweep goes on.
        workers: processes, 0 for one a core.
        cluster: address of a Dask scheduler, such as tcp://127.0.0.1:8786; its workers must see the folder too.
        save_every: seconds between saves that a run goes on from when its worker died.
        gather: train nothing; tell of the runs that are finished.
        markdown: print the table alone, for a page.
    """

    plan: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PLAN")]
    out: Path | None = None
    workers: int = 0
    cluster: str = ""
    save_every: float = 30.0
    gather: bool = False
    markdown: bool = False

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise GoalmazeError(f"--workers is {self.workers}: choose 1 or more, or 0 for one a core")
        if self.workers and self.cluster:
            raise GoalmazeError("--workers are those of this machine, --cluster has its own: leave one out")
        if self.save_every < 0:
            raise GoalmazeError(f"--save-every is {self.save_every}: choose 0 or more seconds")
