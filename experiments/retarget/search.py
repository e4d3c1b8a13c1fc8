"""The search without choosing by eye: site, channels, method and strength by successive halving (Jamieson, 2016).

In each round the candidates left are judged on twice as many mazes and the better part stays; what learns is let in
late, at the sites that are left. All on mazes to fit on: those that judge have no say.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.experiments.common.tables import number, table
from goalmaze.experiments.retarget.candidates import Candidate, find_candidate, narrowed, suited
from goalmaze.experiments.retarget.path_probability import path_chances
from goalmaze.experiments.retarget.task import RetargetingTask
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern

CLOSED_FORM = ("mean-pattern", "aligned-vector", "minimal-edit", "erase-and-write")
LEARNED = (
    *("expert-pattern", "gated-pattern", "learned-pattern", "gated-deep"),
    *("pointwise-network", "alignment-search", "sparse-features", "cell-table"),
)
USUALLY_LEARNED = ("expert-pattern", "gated-pattern")
STRENGTHS = (0.75, 1.0, 1.5)
CHANNEL_SHARES = (1.0, 0.5, 0.25)
FEWEST, MOST = 24, 256
"""Mazes in the first and in the last round."""

FINALISTS = 6
"""Candidates at which the halving ends."""

SITES_LEFT = 2
"""At how many of the best sites what learns is tried."""

FIRST_EFFORT, FULL_EFFORT = 0.15, 0.5
"""Shares of its usual updates after which what learns is first judged, and those given to the best two of it."""


@dataclasses.dataclass(frozen=True)
class Round:
    """One round of the search.

    Attributes:
        candidates: how many took part.
        mazes: on how many each was judged.
        seconds: what finding and judging them cost.
        best: the best of them in a few words.
        score: of the best.
    """

    candidates: int
    mazes: int
    seconds: float
    best: str
    score: float


@dataclasses.dataclass(frozen=True, eq=False)
class Search:
    """What was found and what it cost.

    Attributes:
        chosen: the winner.
        rounds: of the search.
    """

    chosen: Candidate
    rounds: tuple[Round, ...]

    @property
    def seconds(self) -> float:
        """What it all cost, on the wall clock."""
        return sum(one.seconds for one in self.rounds)

    def json(self) -> dict[str, Any]:
        """Return the search as plain data."""
        rounds = [dataclasses.asdict(one) | {"score": number(one.score)} for one in self.rounds]
        return {"chosen": self.chosen.json(), "seconds": round(self.seconds, 1), "rounds": rounds}

    def text(self) -> str:
        """Return the rounds as a table, and the winner."""
        rows = [[one.candidates, one.mazes, f"{one.seconds:.0f}", f"{one.score:.3f}", one.best] for one in self.rounds]
        headers = ["candidates", "mazes", "seconds", "score", "best"]
        return f"{table(headers, rows)}\nchosen in {self.seconds:.0f} s: {self.chosen.text()}"


def search(
    context: FitContext, rehearsal: RetargetingTask, sites: Sequence[str] = (), methods: Sequence[str] = ()
) -> Search:
    """Return the edit that does best on a rehearsal, and what the search cost.

    Args:
        workshop: mazes to find edits on.
        rehearsal: others, to compare them on.
        sites: those to try; all where not given.
        methods: those to try; those in closed form and the learned ones where not given.

    Raises:
        GoalmazeError: there is no such site or method, or they do not go together.
    """
    policy = context.policy
    pairs = suited(policy.network, sites, methods, (*CLOSED_FORM, *USUALLY_LEARNED), everywhere=True)
    learned = [pair for pair in pairs if pair[1] in LEARNED]
    log = _Log(policy, rehearsal)
    mazes, field = FEWEST, _first(context, [pair for pair in pairs if pair not in learned])
    if field:
        field = log.judged(mazes, field)
    while len(field) > FINALISTS:
        mazes *= 2
        field = log.judged(mazes, field[: max(FINALISTS, len(field) // 3)])
    if learned:
        places = _promising(field, learned)
        brief = dataclasses.replace(context, effort=context.effort * FIRST_EFFORT)
        pupils = log.judged(mazes, _found(brief, [pair for pair in learned if pair[0] in places]))[:2]
        longer = dataclasses.replace(context, effort=context.effort * FULL_EFFORT)
        field = field[:2] + [find_candidate(longer, one.site, one.method) for one in pupils]
    field = log.judged(MOST, field, sampled=True)
    return Search(field[0], tuple(log.rounds))


def _promising(field: Sequence[Candidate], learned: Sequence[tuple[str, str]]) -> list[str]:
    """Return the sites at which to try what learns: the best of those left, all where none is left."""
    possible = {site for site, _ in learned}
    return [one for one in dict.fromkeys(one.site for one in field) if one in possible][:SITES_LEFT] or list(possible)


class _Log:
    """Judges candidates on a rehearsal and keeps account of time, finding them included."""

    def __init__(self, policy: NetworkPolicy, rehearsal: RetargetingTask) -> None:
        self._policy, self._rehearsal = policy, rehearsal
        self._begun = time.perf_counter()
        self.rounds: list[Round] = []

    def judged(self, mazes: int, field: Sequence[Candidate], sampled: bool = False) -> list[Candidate]:
        """Return candidates, best first, after a round on the first mazes of the rehearsal.

        Args:
            mazes: how many.
            field: the candidates.
            sampled: judge by episodes; otherwise by the chance of the shortest way.
        """
        task = self._rehearsal.first(mazes)
        watched = tqdm(field, desc=f"round {len(self.rounds) + 1}", unit="edit", disable=None)
        scores = [score(self._policy, task, one, sampled) for one in watched]
        order = sorted(range(len(scores)), key=lambda i: -scores[i])
        now = time.perf_counter()
        best = field[order[0]].text()
        self.rounds.append(Round(len(field), len(task.levels), now - self._begun, best, scores[order[0]]))
        self._begun = now
        return [field[i] for i in order]


def score(policy: NetworkPolicy, task: RetargetingTask, one: Candidate, sampled: bool = False) -> float:
    """Return how well an edit steers on an errand: the mean chance of the shortest way, or of reaching the target.

    The first has no luck in it and costs a fraction of an episode; an agent with a memory is judged by episodes.
    """
    edits = one.edits(task)
    if not sampled:
        found = path_chances(policy, task.levels, task.goals, task.targets, edits)
        clear = found[task.off_path]
        if not np.isnan(clear).any() and len(clear):
            return float(clear.mean())
    return task.run(policy, edits).everywhere.other.value


def _first(context: FitContext, pairs: Sequence[tuple[str, str]]) -> list[Candidate]:
    """Return what methods find at sites, patterns also on fewer channels, each at several strengths."""
    field = []
    for one in _found(context, pairs):
        variants = [one]
        if isinstance(one.found, GoalPattern):
            width = len(one.found.arriving)
            for share in CHANNEL_SHARES[1:]:
                pattern, channels = narrowed(one.found, max(1, round(share * width)))
                variants.append(dataclasses.replace(one, found=pattern, channels=channels))
        field += [dataclasses.replace(variant, strength=s) for variant in variants for s in STRENGTHS]
    return field


def _found(context: FitContext, pairs: Sequence[tuple[str, str]]) -> list[Candidate]:
    return [find_candidate(context, site, method) for site, method in pairs]
