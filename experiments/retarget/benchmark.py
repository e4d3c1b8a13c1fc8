"""The retargeting benchmark: held-out mazes, arbitrary reachable targets, sampled episodes, and all controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from tqdm import tqdm

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.retarget import trials
from goalmaze.experiments.retarget.bins import ALL, target_bins
from goalmaze.experiments.retarget.candidate_scores import SCORE_COLUMNS, CandidateScore, score_candidate, score_table
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.floors import compass_trial, fitted_floors
from goalmaze.experiments.retarget.oracles import ORACLES
from goalmaze.experiments.retarget.side_effects import SideEffects, side_effects
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task
from goalmaze.experiments.retarget.trials import EVERY, FIRST, Trial, TrialLabel, run_trial
from goalmaze.experiments.retarget.variants import variant_table, variant_trials


@dataclasses.dataclass(frozen=True, eq=False)
class SizeTrials:
    """All trials on the mazes of one size.

    Attributes:
        task: the mazes.
        trials: the conditions that were run on them.
    """

    task: RetargetingTask
    trials: tuple[Trial, ...]

    def find(self, condition: str, candidate: Candidate | None = None, steps: str | None = None) -> Trial:
        """Return the trial of a condition, and of a candidate where the condition has one."""
        site, method = (None, None) if candidate is None else (candidate.site, candidate.method)
        label = TrialLabel(condition, site, method, steps)
        return next(one for one in self.trials if one.label == label)


@dataclasses.dataclass(frozen=True, eq=False)
class Benchmark(Result):
    """The trials of all candidates.

    Attributes:
        candidates: the edits.
        sizes: the trials at each size, first the size the edits were fitted at.
        effects: the side effects of each edit.
    """

    candidates: tuple[Candidate, ...]
    sizes: tuple[SizeTrials, ...]
    effects: tuple[SideEffects, ...]

    def summary(self) -> list[CandidateScore]:
        """Return each candidate between its floor and its reference, at the size the edits were fitted at."""
        own = self.sizes[0].trials
        return [score_candidate(one, own) for one in self.candidates]

    def json(self) -> JsonObject:
        """Return the benchmark as plain data, one row for each size, condition and bin of targets."""
        rows = []
        for size in self.sizes:
            bins = target_bins(size.task)
            for trial in size.trials:
                rows += trial.rows(bins)
        return {
            "summary": [one.json() for one in self.summary()],
            "effects": [
                {"site": one.site, "method": one.method} | effects.json()
                for one, effects in zip(self.candidates, self.effects, strict=True)
            ],
            "rows": rows,
        }

    def blocks(self) -> list[str | Table]:
        """Return a table for each size, the bins of targets, the side effects and the summary."""
        restored = all(effects.restored for effects in self.effects)
        return [
            *(_conditions(size) for size in self.sizes),
            _binned(self),
            variant_table([one for one in self.sizes[0].trials if one.label.condition == trials.VARIANT]),
            _effects(self),
            f"without the edit, the agent is {'restored bit for bit' if restored else 'NOT restored'}",
            score_table(self.summary()),
            SCORE_COLUMNS,
        ]


def benchmark(
    policy: NetworkPolicy, tasks: Sequence[RetargetingTask], candidates: Sequence[Candidate], oracles: bool = False
) -> Benchmark:
    """Evaluate candidates with all controls on tasks of one size each.

    Args:
        policy: the agent.
        tasks: mazes that no edit was fitted on, first those of the size the edits were fitted at.
        candidates: the edits; no two of one site and method.
        oracles: whether to try the edits of `ORACLES`, too.

    Raises:
        GoalmazeError: an edit does not fit one of the sizes; no trial has been run then.
    """
    for task in tasks:
        for one in candidates:
            one.edits(task.take_first(1))
    sizes = []
    for number_, task in enumerate(tasks):
        # Controls, single-step edits and oracles run at the first size only: they explain the edits, while other sizes
        # test whether they transfer.
        work = _trials(policy, task, candidates, fitted_size=number_ == 0, oracles=oracles and number_ == 0)
        done = tqdm(work, desc=f"benchmark {task.family.size}x{task.family.size}", unit="trial", disable=None)
        sizes.append(SizeTrials(task, tuple(done)))
    measured = progress(candidates, "side effects", "edit")
    effects = [side_effects(policy, tasks[0], one.fitted_edit, one.strength) for one in measured]
    return Benchmark(tuple(candidates), tuple(sizes), tuple(effects))


def resized_tasks(task: RetargetingTask, sizes: Sequence[int]) -> list[RetargetingTask]:
    """Return a task and tasks of the same seed, number and kind of mazes at further sizes."""
    families = (task.family.resized(size) for size in sizes)
    levels = len(task.levels)
    return [task, *(draw_retargeting_task(one, levels, task.seed, drawn=task.drawn) for one in families)]


def _trials(
    policy: NetworkPolicy, task: RetargetingTask, candidates: Sequence[Candidate], fitted_size: bool, oracles: bool
) -> Iterator[Trial]:
    yield run_trial(TrialLabel(trials.NONE), task, policy)
    yield run_trial(TrialLabel(trials.MOVED_CUE), task, policy, levels=task.levels_with_cue_moved())
    yield run_trial(TrialLabel(trials.MOVED_BOTH), task, policy, levels=task.levels_with_goal_moved())
    yield run_trial(TrialLabel(trials.MOVED_WALLED), task, policy, levels=task.levels_with_old_goal_walled())
    if fitted_size:
        yield compass_trial(task)
    for one in candidates:
        edits = one.edits(task)
        yield run_trial(TrialLabel(trials.EDIT, one.site, one.method, EVERY), task, policy, edits)
        if fitted_size:
            yield run_trial(TrialLabel(trials.EDIT, one.site, one.method, FIRST), task, policy, edits)
            yield from _controls(policy, task, one)
            yield from fitted_floors(policy, task, one)
            yield from variant_trials(policy, task, one)
    # One oracle a site, whatever the number of methods there.
    for site in dict.fromkeys(one.site for one in candidates) if oracles else ():
        for name, make in ORACLES.items():
            yield run_trial(TrialLabel(trials.ORACLE, site, name, EVERY), task, policy, [make(policy, task, site)])


def _controls(policy: NetworkPolicy, task: RetargetingTask, one: Candidate) -> Iterator[Trial]:
    """Yield the negative controls: noise, the edit with its channels exchanged, and another maze's edit."""
    for condition, edits in (
        (trials.RANDOM, one.noise_edits(task)),
        (trials.PERMUTED, one.permuted_edits(task)),
        (trials.OTHER_MAZE, one.mismatched_edits(task)),
    ):
        yield run_trial(TrialLabel(condition, one.site, one.method, EVERY), task, policy, edits)


def _conditions(size: SizeTrials) -> Table:
    rows = []
    for one in size.trials:
        if one.label.condition == trials.VARIANT:
            continue
        outcomes, label = one.outcomes(), one.label
        path = float(one.path.mean())
        rows.append(
            [
                label.condition,
                label.site or "",
                label.method or "",
                label.steps or "",
                outcomes.other,
                formatted(outcomes.goal.value, ".2f"),
                formatted(outcomes.neither.value, ".2f"),
                one.off_path_rate,
                formatted(path, ".2f"),
            ]
        )
    side = size.task.family.size
    return Table(
        ["condition", "site", "method", "steps", "target", "goal", "neither", "target off path", "path probability"],
        rows,
        f"{side}x{side}, {len(size.task.levels)} held-out mazes",
    )


def _binned(report: Benchmark) -> Table:
    fitted_size = report.sizes[0]
    columns = {name: fitted_size.find(name) for name in (trials.NONE, *trials.PICTURES)}
    # The summary by bins compares whole edits, so edits of the first step only are left out.
    columns |= {f"{one.method} {one.site}": fitted_size.find(trials.EDIT, one, EVERY) for one in report.candidates}
    rows = []
    for target_bin in target_bins(fitted_size.task):
        if target_bin.name == ALL or not target_bin.mazes.any():
            continue
        rates = [one.outcomes(target_bin.mazes).other.value for one in columns.values()]
        rows.append([target_bin.text(), int(target_bin.mazes.sum()), *(formatted(rate, ".2f") for rate in rates)])
    return Table(["bin", "mazes", *columns], rows, "rate of targets reached first, by where the target lies")


def _effects(report: Benchmark) -> Table:
    rows = []
    for one, effects in zip(report.candidates, report.effects, strict=True):
        for name, summary in (
            ("unedited, to its goal", effects.unedited),
            ("goal and cue moved, to the target", effects.moved),
            ("edited, to the target", effects.edited),
            ("edited, target is goal", effects.target_is_goal),
        ):
            detour, arrived = formatted(summary.detour, ".2f"), formatted(summary.arrived, ".3f")
            rows.append([f"{one.method} {one.site}", name, formatted(summary.bumps, ".3f"), detour, arrived])
    return Table(["edit", "agent", "bumps", "detour", "arrived"], rows)
