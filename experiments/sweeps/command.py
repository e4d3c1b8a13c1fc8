"""What becomes of agents over training seeds and along a dial?"""

from __future__ import annotations

import dataclasses
import functools
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from goalmaze.agents.files import write_atomically
from goalmaze.agents.training.run_lock import held
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.tables import table
from goalmaze.experiments.sweeps.config import SweepConfig
from goalmaze.experiments.sweeps.executors import WORKERS_LOG, DaskRunExecutor, LocalRunExecutor, RunExecutor
from goalmaze.experiments.sweeps.figures import PICTURE, draw_sweep
from goalmaze.experiments.sweeps.plan import Plan, find_plan, read_plan
from goalmaze.experiments.sweeps.results import CSV, Group, gather, grouped, write_csv
from goalmaze.experiments.sweeps.runner import conduct
from goalmaze.experiments.sweeps.tasks import JOURNAL, LOCK
from goalmaze.experiments.train.command import RUNS


@dataclasses.dataclass(frozen=True)
class SweepReport:
    """A sweep and what came of it.

    Attributes:
        plan: that was carried out.
        root: its folder.
        finished: runs that are.
        groups: runs that differ by their seed alone, under each shift.
        markdown: whether the table is for a page.
    """

    plan: Plan
    root: Path
    finished: int
    groups: tuple[Group, ...]
    markdown: bool = False

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "sweep": self.plan.name,
            "folder": str(self.root),
            "runs": len(self.plan.tasks),
            "finished": self.finished,
            "seeds": list(self.plan.seeds),
            "groups": [group.json() for group in self.groups],
            "csv": str(self.root / CSV),
            "picture": str(self.root / PICTURE),
        }

    def text(self) -> str:
        """Return the table of the groups, with a heading unless it is for a page."""
        headers, rows = self._cells()
        if self.markdown:
            return markdown(headers, rows)
        about = f"{self.plan.about}\n" if self.plan.about else ""
        return (
            f"{self.plan.name}: {self.finished} of {len(self.plan.tasks)} runs finished in {self.root}\n{about}"
            "means over training seeds; 95 % intervals cover seeds, not levels, which are the same for all\n\n"
            f"{table(headers, rows)}\n\n{self.root / CSV}\n{self.root / PICTURE}"
        )

    def _cells(self) -> tuple[list[str], list[list[object]]]:
        headers = [*(dial.split(".")[-1] for dial in self.plan.dials), "shift", "seeds", "solved", "prefers cue"]
        rows = [
            [
                *group.dials.values(),
                group.shift,
                group.seeds,
                group.measures["solved"],
                group.measures["prefers_cue"],
                group.measures["return"],
                ", ".join(f"{count} {label}" for label, count in group.labels.items()),
            ]
            for group in self.groups
        ]
        return [*headers, "discounted return", "labels"], rows


def markdown(headers: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Return a table as a page in Markdown has it."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def run(config: SweepConfig) -> SweepReport:
    """Carry out what is left of a sweep, or only gather what there is, and write its table and picture.

    Raises:
        GoalmazeError: the plan cannot be carried out, another process is at it, the cluster cannot be reached, or runs
            failed; what is finished is in the table then.
        KeyboardInterrupt: a person stopped it; the same command goes on.
    """
    plan = read_plan(find_plan(config.plan))
    root = (config.out or RUNS / plan.name).resolve()
    if config.gather:
        return _report(plan, root, config)
    _prepare(root)
    with held(root / LOCK):
        outcome = conduct(plan.tasks, root, functools.partial(_crew, config, root), config.save_every)
        report = _report(plan, root, config)
    if outcome.failed:
        name, reason = next(iter(outcome.failed.items()))
        raise GoalmazeError(
            f"{len(outcome.failed)} of {len(plan.tasks)} runs failed, such as {name}: {reason}; "
            f"what the others came to is in {root / CSV}"
        )
    if outcome.stopped:
        again = shlex.join(["goalmaze", "sweep", config.plan, "--out", str(root)])
        tqdm.write(f"{outcome.finished} of {len(plan.tasks)} runs finished; go on with: {again}", file=sys.stderr)
        raise KeyboardInterrupt
    return report


def _prepare(root: Path) -> None:
    """Make the sweep's folder."""
    try:
        (root / JOURNAL).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GoalmazeError(f"cannot make {root}: {error.strerror}; choose another --out") from None
    if not (root / LOCK).exists():
        write_atomically(root / LOCK, b"")


def _crew(config: SweepConfig, root: Path, runs: int) -> RunExecutor:
    """Return who carries out a number of runs."""
    if config.cluster:
        return DaskRunExecutor(config.cluster)
    return LocalRunExecutor(min(runs, config.workers or os.cpu_count() or 1), root / WORKERS_LOG)


def _report(plan: Plan, root: Path, config: SweepConfig) -> SweepReport:
    """Write table and picture of what is finished."""
    rows = gather(plan, root)
    groups = grouped(plan, rows)
    if rows:
        write_csv(rows, root / CSV)
        draw_sweep(plan, groups, root / PICTURE)
    elif config.gather:
        raise GoalmazeError(f"no run of {plan.name} is finished in {root}; leave --gather out to train them")
    return SweepReport(plan, root, len({row["run"] for row in rows}), tuple(groups), config.markdown)
