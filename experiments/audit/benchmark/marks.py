"""Whether the registered marks are reached, with what was measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.benchmark.contest import LOTTERIES, REGISTERED, Contest
from goalmaze.experiments.audit.benchmark.populations import SIDE_CHANNELS, tiers
from goalmaze.experiments.audit.benchmark.registration import RegisteredMark, registered_marks
from goalmaze.experiments.audit.benchmark.rows import Row
from goalmaze.probes.audit.tiers import Tier

Numbers = tuple[float, ...]

GREEN = LOTTERIES[0]
CORES, AGENTS = 2, 64


@dataclasses.dataclass(frozen=True)
class Mark:
    """A registered mark with its result.

    Attributes:
        name: what is measured.
        threshold: what it must reach.
        reached: whether it does; None where a population that it needs was not measured.
        measured: what was measured, in words.
    """

    name: str
    threshold: str
    reached: bool | None
    measured: str

    @property
    def word(self) -> str:
        """The result in one word."""
        return "not tested" if self.reached is None else "reached" if self.reached else "missed"

    def json(self) -> JsonObject:
        """Return the mark as plain data."""
        return dataclasses.asdict(self)


Verdict = tuple[bool | None, str]


def marks(contest: Contest) -> tuple[Mark, ...]:
    """Return the registered marks with their results."""
    return tuple(_mark(registered, contest) for registered in registered_marks())


def _mark(registered: RegisteredMark, contest: Contest) -> Mark:
    reached, measured = CHECKS[registered.name](contest, registered.numbers)
    return Mark(registered.name, registered.threshold, reached, measured)


def _all(parts: Sequence[Verdict]) -> Verdict:
    """Return whether all parts are reached: one that is missed decides, otherwise one that is not tested does."""
    results = [reached for reached, _ in parts]
    reached = False if False in results else None if None in results else True
    return reached, "; ".join(text for _, text in parts)


def _of_row(population: str, row: Row | None, check: Callable[[Row], Verdict]) -> Verdict:
    if row is None:
        return None, f"{population}: not measured"
    reached, text = check(row)
    return reached, f"{population}: {row.method} {text}"


def _best_t3(contest: Contest, numbers: Numbers) -> Verdict:
    value, low = numbers

    def check(row: Row) -> Verdict:
        found = row.main.spearman
        if found is None:
            return None, "has no score"
        return found.value >= value and found.low >= low, str(found)

    return _all([_of_row(name, contest.chosen_row(name, Tier.T3), check) for name in LOTTERIES])


def _best_t2(contest: Contest, numbers: Numbers) -> Verdict:
    (value,) = numbers

    def check(row: Row) -> Verdict:
        found = row.main.spearman
        return (None, "has no score") if found is None else (found.value >= value, str(found))

    return _of_row(GREEN, contest.chosen_row(GREEN, Tier.T2), check)


def _ahead(contest: Contest, numbers: Numbers) -> Verdict:
    (bound,) = numbers
    parts: list[Verdict] = []
    for name, tier in (*((name, Tier.T3) for name in LOTTERIES), (GREEN, Tier.T2)):
        test, row = contest.find(name), contest.chosen_row(name, tier)
        if test is None or row is None:
            parts.append((None, f"{name}: not measured"))
            continue
        for channel in SIDE_CHANNELS:
            ahead = test.difference(row.method, channel)
            text = "without weights from other populations" if ahead is None else str(ahead)
            reached = None if ahead is None else ahead.low > bound
            parts.append((reached, f"{name}: {row.method} minus {channel} {text}"))
    return _all(parts)


def _brier(contest: Contest, numbers: Numbers) -> Verdict:
    (bound,) = numbers

    def check(row: Row) -> Verdict:
        levels = row.main.levels
        if levels is None:
            return None, "scores no single levels"
        return levels.brier_skill.value >= bound, str(levels.brier_skill)

    return _all([_of_row(name, contest.chosen_row(name, Tier.T3), check) for name in LOTTERIES])


def _calibration(contest: Contest, numbers: Numbers) -> Verdict:
    (bound,) = numbers

    def check(row: Row) -> Verdict:
        error = row.main.calibration_error
        return (None, "has no calibration") if error is None else (error <= bound, f"{error:.3f}")

    return _all([_of_row(name, contest.chosen_row(name, Tier.T3), check) for name in LOTTERIES])


def _most_populations(contest: Contest, numbers: Numbers) -> Verdict:
    bound, needed, count = numbers
    texts, good, missing = [], 0, 0
    for name in REGISTERED:
        test, row = contest.find(name), contest.chosen_row(name, Tier.T3)
        if test is None:
            missing += 1
            texts.append(f"{name}: not measured")
        elif row is None or row.main.spearman is None:
            texts.append(f"{name}: not reached, {test.target.refusal or 'no test'}")
        else:
            good += row.main.spearman.value >= bound
            texts.append(f"{name}: {row.method} {row.main.spearman}")
    assert count == len(REGISTERED)
    reached = True if good >= needed else False if good + missing < needed else None
    return reached, f"{good} of {len(REGISTERED) - missing} measured; " + "; ".join(texts)


def _seconds(contest: Contest, numbers: Numbers) -> Verdict:
    one, many = numbers
    totals = [
        agent.record.seconds(Tier.T3, tiers())
        for test in contest.tests
        for agent in test.target.agents
        if agent.record is not None
    ]
    if not totals:
        return None, "no agent was audited"
    longest = max(
        float(
            np.mean(
                [agent.record.seconds(Tier.T3, tiers()) for agent in test.target.agents if agent.record is not None]
            )
        )
        for test in contest.tests
        if test.target.pool is not None
    )
    return (
        longest <= one and longest * AGENTS / CORES <= many,
        f"{longest:.1f} s of one core for an agent of the slowest population at T3, so "
        f"{longest * AGENTS / CORES:.0f} s for {AGENTS} on {CORES} cores",
    )


CHECKS: Mapping[str, Callable[[Contest, Numbers], Verdict]] = {
    "best T3 method, in both lotteries": _best_t3,
    "best T2 method, `lottery-green`": _best_t2,
    "each of them against both side channels": _ahead,
    "Brier skill of the best T3 method": _brier,
    "calibration error": _calibration,
    "best T3 method": _most_populations,
    "one agent; 64 agents, two cores": _seconds,
}
"""Name of a mark in the registration → its check, with the registered numbers."""
