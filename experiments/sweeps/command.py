"""`goalmaze sweep`: train agents over seeds and along dials, then print one table and draw one figure."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from goalmaze.agents.devices import find_device
from goalmaze.agents.files import remove_temporaries, write_atomically
from goalmaze.agents.training.run_lock import locked
from goalmaze.envs.errors import GoalmazeError, StopError
from goalmaze.envs.extensions import import_flags
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.against_readings.figures import (
    OUTCOME_FIGURE,
    PAIR_FIGURE,
    outcome_figure,
    pair_figure,
    pair_of,
)
from goalmaze.experiments.against_readings.hypotheses import hypotheses_table, hypothesis_results
from goalmaze.experiments.against_readings.results import (
    ArmResult,
    arm_results,
    evasion_table,
    outcome_table,
    power_table,
)
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.common.plots import save_figure
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.jobs.executors import WORKERS_LOG, RunExecutor, make_executor
from goalmaze.experiments.jobs.job import JOURNAL, LOCK
from goalmaze.experiments.jobs.runner import TaskSummary, run_tasks
from goalmaze.experiments.statistics.bootstrap import MIN_SEEDS
from goalmaze.experiments.sweeps.config import SweepConfig
from goalmaze.experiments.sweeps.figures import FIGURE, draw_sweep
from goalmaze.experiments.sweeps.marks import MARK_FIGURE, MarkRow, mark_figure, mark_rows, mark_table
from goalmaze.experiments.sweeps.plan import Plan, find_plan, read_plan
from goalmaze.experiments.sweeps.results import CSV, Group, gather_rows, group_by_seed, write_csv
from goalmaze.experiments.sweeps.threshold import (
    THRESHOLD_FIGURE,
    Line,
    preference_table,
    threshold_figure,
    threshold_lines,
    threshold_table,
)
from goalmaze.experiments.train.command import RUNS
from goalmaze.experiments.train.population.seeds import seed_list


@dataclasses.dataclass(frozen=True)
class SweepResult(Result):
    """The results of a sweep.

    Attributes:
        plan: the plan of the sweep.
        root: its folder.
        finished: number of finished runs.
        groups: the runs that differ by their seed alone, under each shift.
        lines: where half of the seeds become goal-followers, for plans with a threshold.
        arms: how the runs of each arm ended, for plans with outcomes.
        marks: how soon runs passed the marks of the plan, for plans with marks.
    """

    plan: Plan
    root: Path
    finished: int
    groups: tuple[Group, ...]
    lines: tuple[Line, ...] = ()
    arms: tuple[ArmResult, ...] = ()
    marks: tuple[MarkRow, ...] = ()

    def json(self) -> JsonObject:
        """Return the results as plain data."""
        return {
            "sweep": self.plan.name,
            "folder": str(self.root),
            "runs": len(self.plan.tasks),
            "finished": self.finished,
            "seeds": list(self.plan.seeds),
            "groups": [group.json() for group in self.groups],
            "csv": str(self.root / CSV),
            "picture": str(self.root / FIGURE),
            **({"threshold": self._threshold()} if self.plan.threshold else {}),
            **({"outcomes": self._outcomes()} if self.arms else {}),
            **({"marks": self._marks()} if self.marks else {}),
        }

    def _outcomes(self) -> JsonObject:
        return {
            "arms": [arm.json() for arm in self.arms],
            "runs": [run.json() for arm in self.arms for run in arm.runs],
            "hypotheses": [one.json() for one in hypothesis_results(self.arms)],
            "picture": str(self.root / OUTCOME_FIGURE),
        }

    def _threshold(self) -> JsonObject:
        picture = str(self.root / THRESHOLD_FIGURE)
        return {"dial": self.plan.threshold, "picture": picture, "lines": [line.json() for line in self.lines]}

    def _marks(self) -> JsonObject:
        return {"rows": [row.json() for row in self.marks], "picture": str(self.root / MARK_FIGURE)}

    def blocks(self) -> Sequence[str | Table]:
        """Return a heading, the table of the groups, and the files."""
        heading = [f"{self.plan.name}: {self.finished} of {len(self.plan.tasks)} runs finished in {self.root}"]
        heading += [self.plan.about] if self.plan.about else []
        heading += [
            f"Means over training seeds. The 95 % intervals cover seeds; they need {MIN_SEEDS} or more. The levels are "
            "the same for all seeds."
        ]
        files = f"{self.root / CSV}\n{self.root / FIGURE}"
        if self.arms:
            tables = [outcome_table(self.arms), power_table(self.arms), evasion_table(self.arms)]
            return [heading[0], *tables, hypotheses_table(self.arms), f"{files}\n{self.root / OUTCOME_FIGURE}"]
        if not self.lines:
            marks = [mark_table(self.plan.dials, self.plan.marks, self.marks)] if self.marks else []
            files += f"\n{self.root / MARK_FIGURE}" if self.marks else ""
            return ["\n".join(heading), self._table(), *marks, files]
        return [
            "\n".join(heading),
            self._table(),
            f"where half of the seeds become goal-followers along {self.plan.threshold}; the intervals cover seeds",
            *self.threshold_tables,
            f"{files}\n{self.root / THRESHOLD_FIGURE}",
        ]

    @property
    def threshold_tables(self) -> list[Table]:
        """The tables of the threshold: of goal-followers, and of what seeds prefer where that is known."""
        tables = threshold_table(self.plan, self.lines), preference_table(self.plan, self.lines)
        return [table for table in tables if table is not None]

    def _table(self) -> Table:
        dials = [dial.split(".")[-1] for dial in self.plan.dials]
        headers = [*dials, "shift", "seeds", "solved", "cue preference", "discounted return", "labels"]
        rows = [
            [
                *group.dials.values(),
                group.shift,
                group.seeds,
                *(group.measures[name] for name in ("solved", "prefers_cue", "return")),
                ", ".join(f"{count} {label}" for label, count in group.labels.items()),
            ]
            for group in self.groups
        ]
        return Table(headers, rows)


def run(config: SweepConfig) -> SweepResult:
    """Train the unfinished runs of a sweep, or none with --gather, and write its table and figure.

    Raises:
        GoalmazeError: the plan is wrong, another process runs the sweep, the cluster cannot be reached, or runs failed;
            the table then holds the finished runs.
        StopError: a person stopped the sweep; the same command continues it.
    """
    # The workers of a cluster may have a device that this machine lacks.
    if config.device is not None and not config.cluster:
        find_device(config.device)
    seeds = None if config.seeds is None else seed_list(config.seeds)
    plan = read_plan(find_plan(config.plan), config.device, seeds, config.arms)
    root = (config.out or RUNS / plan.name).resolve()
    if config.gather:
        result = gather(plan, root)
        if not result.finished:
            raise GoalmazeError(f"no run of {plan.name} is finished in {root}; leave --gather out to train them")
        return result
    _make_folder(root)
    # Two processes would train the same runs and overwrite each other's table.
    with locked(root / LOCK):
        remove_temporaries(root, below=False)
        executor = functools.partial(make_executor, config.workers, config.cluster, root / WORKERS_LOG)
        summary = _train(plan, root, executor, config.save_every)
        result = gather(plan, root)
    if summary.failed:
        name, reason = next(iter(summary.failed.items()))
        raise GoalmazeError(
            f"{len(summary.failed)} of {len(plan.tasks)} runs failed, such as {name}: {reason}; "
            f"the results of the others are in {root / CSV}"
        )
    if summary.stopped:
        chosen = [] if config.seeds is None else ["--seeds", config.seeds]
        chosen += ["--arms", *config.arms] if config.arms else []
        command = shlex.join(["goalmaze", "sweep", config.plan, *chosen, "--out", str(root)]) + import_flags()
        message = f"{summary.finished} of {len(plan.tasks)} runs finished; continue with: {command}"
        raise StopError(message, summary.signal_number)
    return result


def _train(plan: Plan, root: Path, executor: Callable[[int], RunExecutor], save_every: float) -> TaskSummary:
    """Train the unfinished runs, first those from which others start; runs whose start failed are left out."""
    total = TaskSummary(0, {}, stopped=False)
    for stage in plan.stages:
        ready = [task for task in stage if not task.after or finished_report(root / task.after) is not None]
        if total.stopped or not ready:
            continue
        summary = run_tasks(ready, root, executor, save_every)
        total = TaskSummary(
            total.finished + summary.finished,
            total.failed | summary.failed,
            summary.stopped,
            summary.signal_number,
        )
    return total


def gather(plan: Plan, root: Path) -> SweepResult:
    """Return the results of the finished runs, and write their table and figure into the folder of the sweep."""
    rows = gather_rows(plan, root)
    groups = group_by_seed(plan, rows)
    lines: list[Line] = []
    # Before the first run has finished there is nothing to draw.
    if rows:
        write_csv(rows, root / CSV)
        draw_sweep(plan, groups, root / FIGURE)
    if rows and plan.threshold:
        lines = threshold_lines(plan, root, rows)
        save_figure(threshold_figure(plan, lines), root / THRESHOLD_FIGURE)
    arms = arm_results(plan.tasks, root) if rows and plan.outcomes else ()
    if arms:
        save_figure(outcome_figure(arms), root / OUTCOME_FIGURE)
        pair = pair_of(arms)
        if pair is not None:
            save_figure(pair_figure(root, *pair), root / PAIR_FIGURE)
    marks = tuple(mark_rows(plan, root)) if plan.marks else ()
    if marks:
        save_figure(mark_figure(plan, marks), root / MARK_FIGURE)
    return SweepResult(plan, root, len({row["run"] for row in rows}), tuple(groups), tuple(lines), arms, marks)


def _make_folder(root: Path) -> None:
    make_folder(root / JOURNAL, "--out")
    # Only if it is missing: replacing the file would take the lock from the process that has it.
    if not (root / LOCK).exists():
        write_atomically(root / LOCK, b"")
