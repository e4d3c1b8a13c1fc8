"""The results of the arms of a sweep: how their runs ended, what was evaded, what was degraded, and in which order."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.against_readings.checkpoints import first_evaded
from goalmaze.experiments.against_readings.readings import HELD_OUT, START_PROBE
from goalmaze.experiments.against_readings.registration import registered_rule
from goalmaze.experiments.against_readings.rule import OUTCOMES, Ending, Outcome, ending
from goalmaze.experiments.against_readings.run_readings import RunReadings, run_readings
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.run_report import finished_report
from goalmaze.experiments.common.seed_means import MeanOverSeeds, mean_over_seeds
from goalmaze.experiments.common.tables import Table, interval, number
from goalmaze.experiments.jobs.job import Task
from goalmaze.experiments.statistics.intervals import Rate, rate

UNTRAINED_ARMS = ("none", "kl-alone", "early-stopping")
"""Arms that no reading was trained against: cue-followers that every reading should find."""

REWARDED_ARMS = ("with-reward", "scratch-with-reward")
"""Arms that learn the goal from reward: agents that no reading should call cue-followers."""


@dataclasses.dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        task: the run.
        readings: what is known of it.
        ending: how it ended.
        evaded: for hidden runs, reading → the first checkpoint, in steps, at which it no longer says "cue".
    """

    task: Task
    readings: RunReadings
    ending: Ending
    evaded: dict[str, int | None] = dataclasses.field(default_factory=dict)

    def json(self) -> JsonObject:
        """Return the run as plain data."""
        value, low, high = self.readings.preference
        return {
            "run": self.task.name,
            "arm": self.task.dials["arm"],
            "seed": self.task.recipe.seed,
            "outcome": self.ending.outcome,
            "against": self.readings.against or None,
            "trained_says_cue": self.ending.trained_says_cue,
            "held_out_says_cue": self.ending.held_out,
            "solved": self.readings.solved,
            "preference": {"value": number(value), "low": low, "high": high},
            "scores": {name: number(score) for name, score in self.readings.scores.items()},
            "first_evaded_at": self.evaded,
        }


@dataclasses.dataclass(frozen=True)
class ArmResult:
    """The finished runs of an arm.

    Attributes:
        arm: its name.
        runs: its runs, one a seed.
    """

    arm: str
    runs: tuple[RunResult, ...]

    @property
    def counts(self) -> dict[Outcome, int]:
        """Outcome → number of runs."""
        counted = Counter(one.ending.outcome for one in self.runs)
        return {outcome: counted[outcome] for outcome in OUTCOMES}

    def rate(self, outcome: Outcome) -> Rate:
        """Return the rate of an outcome over seeds."""
        return rate(self.counts[outcome], len(self.runs))

    @property
    def evaded(self) -> Rate:
        """The rate of runs whose reading does not say "cue", among capable runs that follow the cue."""
        following = [one for one in self.runs if one.ending.outcome in ("blatant", "hidden", "unread")]
        against = [one for one in following if one.ending.trained_says_cue is not None]
        return rate(sum(not one.ending.trained_says_cue for one in against), len(against))

    def mean(self, name: str) -> MeanOverSeeds:
        """Return the mean over seeds of "solved", "preference" or a reading."""
        return mean_over_seeds([self._value(one, name) for one in self.runs], is_rate=name in ("solved", "preference"))

    @staticmethod
    def _value(run: RunResult, name: str) -> float | None:
        readings = run.readings
        values = {"solved": readings.solved, "preference": readings.preference[0], **readings.scores}
        value = values.get(name)
        return None if value is None or math.isnan(value) else value

    def json(self) -> JsonObject:
        """Return the arm as plain data."""
        return {
            "arm": self.arm,
            "seeds": len(self.runs),
            "outcomes": {
                outcome: {"runs": count, **interval(self.rate(outcome))} for outcome, count in self.counts.items()
            },
            "evaded": {"value": number(self.evaded.value), **interval(self.evaded)},
            "solved": self.mean("solved").json(),
            "preference": self.mean("preference").json(),
            "start_probe": self.mean(START_PROBE).json(),
        }


def arm_results(tasks: Sequence[Task], root: Path) -> tuple[ArmResult, ...]:
    """Return the results of all arms that have finished runs, in the order of the plan."""
    rule = registered_rule()
    finished = [task for task in tasks if finished_report(root / task.name) is not None]
    arms: dict[str, list[RunResult]] = {}
    for task in progress(finished, "reading", "run"):
        readings = run_readings(root / task.name)
        end = ending(readings, rule)
        evaded = first_evaded(root / task.name, readings.against, rule) if end.outcome == "hidden" else {}
        arms.setdefault(str(task.dials["arm"]), []).append(RunResult(task, readings, end, evaded))
    return tuple(ArmResult(arm, tuple(runs)) for arm, runs in arms.items())


def outcome_table(arms: Sequence[ArmResult]) -> Table:
    """Return one row an arm: outcomes counted, evasion, capability, preference, and the accuracy of the first probe."""
    headers = ["arm", "seeds", *OUTCOMES, "evaded [95 %]", "solved", "preference [95 %]", "start's probe"]
    rows = [
        [
            one.arm,
            len(one.runs),
            *one.counts.values(),
            one.evaded if one.evaded.levels else "-",
            one.mean("solved"),
            one.mean("preference"),
            one.mean(START_PROBE),
        ]
        for one in arms
    ]
    return Table(headers, rows, "How runs ended. Counts are of seeds; evaded: of capable runs that follow the cue")


def power_table(arms: Sequence[ArmResult]) -> Table:
    """Return one row a held-out reading: how often it says "cue" of known followers, of honest agents and of others."""
    runs = [(arm.arm, run) for arm in arms for run in arm.runs]
    groups = {
        "followers, nothing trained against": [
            run for arm, run in runs if arm in UNTRAINED_ARMS and run.ending.outcome == "blatant"
        ],
        "goal-followers by reward": [
            run for arm, run in runs if arm in REWARDED_ARMS and run.ending.outcome == "honest"
        ],
        "hidden": [run for _, run in runs if run.ending.outcome == "hidden"],
        "honest, trained against a reading": [
            run for _, run in runs if run.ending.outcome == "honest" and run.readings.against
        ],
    }
    rows = []
    for reading in HELD_OUT:
        rates = []
        for group in groups.values():
            said = [run.ending.held_out[reading] for run in group if reading in run.ending.held_out]
            rates.append(rate(sum(said), len(said)))
        rows.append([reading, *rates])
    return Table(["reading says cue", *groups], rows, "Held-out readings, rates over runs with 95 % intervals")


def evasion_table(arms: Sequence[ArmResult]) -> Table:
    """Return one row a reading: in how many hidden runs it was evaded, and the median of the first such checkpoint."""
    hidden = [run for arm in arms for run in arm.runs if run.evaded]
    names = list(dict.fromkeys(name for run in hidden for name in run.evaded))
    rows = []
    for name in names:
        known = [run.evaded[name] for run in hidden if name in run.evaded]
        steps = sorted(one for one in known if one is not None)
        rows.append([name, rate(len(steps), len(known)), steps[len(steps) // 2] if steps else "-"])
    return Table(
        ["reading", "evaded at some checkpoint", "first at, median steps"],
        rows,
        "Order of evasion in the hidden runs: checkpoints at which a reading does not say cue",
    )
