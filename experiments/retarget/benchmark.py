"""The retargeting benchmark: held-out mazes and arbitrary reachable targets, real rollouts, beside every control."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.experiments.common.tables import number, table
from goalmaze.experiments.retarget import trials
from goalmaze.experiments.retarget.bins import ALL, bins_of
from goalmaze.experiments.retarget.candidates import Candidate
from goalmaze.experiments.retarget.oracles import UPPER_BOUNDS
from goalmaze.experiments.retarget.side_effects import Effects, side_effects
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task
from goalmaze.experiments.retarget.trials import EVERY, FIRST, Label, Trial, attempt
from goalmaze.experiments.statistics.comparisons import sign_flip_test
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.probes.controls import untrained_above


@dataclasses.dataclass(frozen=True, eq=False)
class Verdict:
    """An edit beside the physically moved cue, on targets with the goal off the way.

    Attributes:
        candidate: the edit.
        edit: its trial.
        mark: the moved cue's.
    """

    candidate: Candidate
    edit: Trial
    mark: Trial

    @property
    def beats(self) -> bool:
        """Whether the edit's 95 % interval lies above the mark's."""
        return self._share(self.edit).low > self._share(self.mark).high

    @property
    def p(self) -> float:
        """The p-value that both do equally well, from the mazes in which they differ: both had equal luck."""
        clear = self.edit.off_path
        return sign_flip_test(self.edit.hits[clear].astype(np.float64) - self.mark.hits[clear])

    @property
    def ratio(self) -> float:
        """The edit's share of targets reached over the mark's."""
        return self._share(self.edit).value / self._share(self.mark).value

    @staticmethod
    def _share(trial: Trial) -> Rate:
        return trial.outcomes(trial.off_path).other

    def json(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        edit, mark = self._share(self.edit), self._share(self.mark)
        return {
            **self.candidate.json(),
            "target": number(edit.value),
            "low": number(edit.low),
            "high": number(edit.high),
            "moved_cue": {"target": number(mark.value), "low": number(mark.low), "high": number(mark.high)},
            "ratio": number(self.ratio),
            "p": number(self.p),
            "beats": self.beats,
        }

    def text(self) -> str:
        """Return the comparison in one line."""
        word = "beats" if self.beats else "does not beat"
        return (
            f"{self.candidate.text()}: {self._share(self.edit)} {word} the moved cue's {self._share(self.mark)} "
            f"where the goal is off the way ({self.ratio:.2f} of it; p = {self.p:.3f} by pairs)"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """All trials on the mazes of one size.

    Attributes:
        errand: the mazes.
        trials: what was tried on them.
    """

    task: RetargetingTask
    trials: tuple[Trial, ...]

    def find(self, condition: str, candidate: Candidate | None = None, steps: str | None = None) -> Trial:
        """Return the trial of a condition, of a candidate where it is about one."""
        own = (None, None) if candidate is None else (candidate.site, candidate.method)
        return next(
            one
            for one in self.trials
            if (one.label.condition, one.label.steps) == (condition, steps)
            and (one.label.site, one.label.method) == own
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Benchmark:
    """Edits judged.

    Attributes:
        candidates: the edits.
        sizes: what was tried at each size, the one the edits were found at first.
        effects: what each edit does besides.
    """

    candidates: tuple[Candidate, ...]
    sizes: tuple[Judged, ...]
    effects: tuple[Effects, ...]

    def verdicts(self) -> list[Verdict]:
        """Return each edit beside the moved cue, at the size the edits were found at."""
        own = self.sizes[0]
        mark = own.find(trials.MOVED_CUE)
        return [Verdict(one, own.find(trials.EDIT, one, EVERY), mark) for one in self.candidates]

    def json(self) -> dict[str, Any]:
        """Return all as plain data."""
        return {
            "verdicts": [one.json() for one in self.verdicts()],
            "effects": [
                {"site": one.site, "method": one.method} | effects.json()
                for one, effects in zip(self.candidates, self.effects, strict=True)
            ],
            "rows": [
                row for judged in self.sizes for trial in judged.trials for row in trial.rows(bins_of(judged.task))
            ],
        }

    def text(self) -> str:
        """Return a table for each size, the bins of targets, the effects and the verdicts."""
        parts = [_conditions(judged) for judged in self.sizes]
        parts.append(_binned(self))
        parts.append(_effects(self))
        parts.append("\n".join(one.text() for one in self.verdicts()))
        return "\n\n".join(parts)


def benchmark(
    policy: NetworkPolicy, tasks: Sequence[RetargetingTask], candidates: Sequence[Candidate], bounds: bool = False
) -> Benchmark:
    """Judge edits on errands, one for each size, the first at the size the edits were found at.

    Args:
        policy: the agent.
        errands: mazes that no edit was found on.
        candidates: the edits; no two of one site and method.
        bounds: whether to try edits that know the maze, too.

    Raises:
        GoalmazeError: an edit does not fit one of the sizes; nothing has been tried then.
    """
    for task in tasks:
        for one in candidates:
            one.edits(task.first(1))
    sizes = []
    for place, task in enumerate(tasks):
        work = _trials(policy, task, candidates, first=place == 0, bounds=bounds and place == 0)
        found = tqdm(work, desc=f"benchmark {task.family.size}x{task.family.size}", unit="trial", disable=None)
        sizes.append(Judged(task, tuple(found)))
    effects = [side_effects(policy, tasks[0], one.found, one.strength) for one in candidates]
    return Benchmark(tuple(candidates), tuple(sizes), tuple(effects))


def draw_errands(task: RetargetingTask, sizes: Sequence[int]) -> list[RetargetingTask]:
    """Return an errand and others like it at further sizes."""
    levels = len(task.levels)
    return [task, *(draw_retargeting_task(task.family.resized(size), levels, task.seed) for size in sizes)]


def _trials(
    policy: NetworkPolicy, task: RetargetingTask, candidates: Sequence[Candidate], first: bool, bounds: bool
) -> Iterator[Trial]:
    yield attempt(Label(trials.NONE), task, policy)
    yield attempt(Label(trials.MOVED_CUE), task, policy, levels=task.cue_moved().levels)
    yield attempt(Label(trials.MOVED_BOTH), task, policy, levels=task.seen_moved())
    for one in candidates:
        edits = one.edits(task)
        yield attempt(Label(trials.EDIT, one.site, one.method, EVERY), task, policy, edits)
        if first:
            yield attempt(Label(trials.EDIT, one.site, one.method, FIRST), task, policy, edits)
            yield from _controls(policy, task, one)
    for site in dict.fromkeys(one.site for one in candidates) if bounds else ():
        for name, make in UPPER_BOUNDS.items():
            yield attempt(Label(trials.BOUND, site, name, EVERY), task, policy, [make(policy, task, site)])


def _controls(policy: NetworkPolicy, task: RetargetingTask, one: Candidate) -> Iterator[Trial]:
    """Yield what must fail: noise of the edit's norm, another maze's edit, the edit under layers never trained."""

    def label(condition: str) -> Label:
        return Label(condition, one.site, one.method, EVERY)

    edits = one.edits(task)
    yield attempt(label(trials.RANDOM), task, policy, task.noise(one.found, one.strength))
    yield attempt(label(trials.OTHER_MAZE), task, policy, task.edits_of_another(one.found, one.strength))
    last = edits[-1].site
    blank = NetworkPolicy(untrained_above(policy.network, last, task.seed))
    yield attempt(label(trials.UNTRAINED), task, blank, edits)
    yield attempt(label(trials.UNTRAINED_NONE), task, blank)


def _conditions(judged: Judged) -> str:
    size = judged.task.family.size
    rows = []
    for one in judged.trials:
        found, label = one.outcomes(), one.label
        off = one.outcomes(one.off_path).other
        path = float(one.path.mean())
        what = [label.condition, label.site or "", label.method or "", label.steps or ""]
        ends = [found.other, f"{found.goal.value:.2f}", f"{found.neither.value:.2f}", off]
        rows.append([*what, *ends, "-" if path != path else f"{path:.2f}"])
    headers = ["condition", "site", "method", "steps", "target", "goal", "neither", "goal off the way", "path"]
    return f"{size}x{size}, {len(judged.task.levels)} held-out mazes\n{table(headers, rows)}"


def _binned(report: Benchmark) -> str:
    own = report.sizes[0]
    columns = [own.find(trials.NONE), own.find(trials.MOVED_CUE), own.find(trials.MOVED_BOTH)]
    columns += [own.find(trials.EDIT, one, EVERY) for one in report.candidates]
    names = [trials.NONE, trials.MOVED_CUE, trials.MOVED_BOTH]
    names += [f"{one.method} {one.site}" for one in report.candidates]
    rows = []
    for within in bins_of(own.task):
        if within.name == ALL or not within.mazes.any():
            continue
        steps = "" if within.low is None else f" {within.low}-{'' if within.high is None else within.high}"
        shares = [one.outcomes(within.mazes).other.value for one in columns]
        rows.append([within.name + steps, int(within.mazes.sum()), *(f"{share:.2f}" for share in shares)])
    return "target reached first, by where it lies\n" + table(["bin", "mazes", *names], rows)


def _effects(report: Benchmark) -> str:
    rows = []
    for one, found in zip(report.candidates, report.effects, strict=True):
        for name, conduct in (
            ("unedited to its goal", found.unedited),
            ("goal and cue moved", found.moved),
            ("edited to the target", found.edited),
            ("edited, target is goal", found.staying),
        ):
            detour = f"{conduct.detour:.2f}"
            rows.append([f"{one.method} {one.site}", name, f"{conduct.bumps:.3f}", detour, f"{conduct.arrived:.3f}"])
    restored = all(found.restored for found in report.effects)
    footing = f"taken off, the agent is {'restored bit for bit' if restored else 'NOT restored'}"
    return f"{table(['edit', 'agent', 'bumps', 'detour', 'arrived'], rows)}\n{footing}"
