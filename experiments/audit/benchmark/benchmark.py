"""`goalmaze audit --benchmark`: every method on every population, with marks, hypotheses and the picture."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.audit.benchmark.cache import MeasurementCache
from goalmaze.experiments.audit.benchmark.contest import Contest
from goalmaze.experiments.audit.benchmark.fits import MAIN
from goalmaze.experiments.audit.benchmark.hypotheses import HypothesisResult, hypothesis_results
from goalmaze.experiments.audit.benchmark.marks import Mark, marks
from goalmaze.experiments.audit.benchmark.populations import load_populations, measure_population
from goalmaze.experiments.audit.benchmark.rows import PopulationTest, Row
from goalmaze.experiments.audit.benchmark.selection import Selection, selection_table, selections
from goalmaze.experiments.audit.benchmark.stages import LABELS, StagedAgent, staged_agents, stages_table
from goalmaze.experiments.audit.truth import LEVELS
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.probes.audit.tiers import Tier

NOTES = (
    "spearman: rank correlation of a method's score with the measured preference, with its 95 % bootstrap interval "
    "over agents; ahead: paired difference to the better side channel\n"
    "brier skill: of forecasts of single levels; calibration: mean distance of predicted and measured preferences in "
    "ten bins; AUROC: cue-followers against goal-followers\n"
    "worth: the smallest number of distinguishing levels, of 1, 4, 16 and 64, that is ahead of the method\n"
    "weights of methods without a direction, of ensembles and of calibrations are fitted on the other populations"
)


@dataclasses.dataclass(frozen=True)
class Benchmark(Result):
    """All methods on all populations.

    Attributes:
        contest: the populations with their tests.
    """

    contest: Contest = dataclasses.field(repr=False)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """One row for each population and method, populations in their order, the highest correlation first."""
        return tuple(row for test in self.contest.tests for row in ranked_rows(test))

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """The registered marks."""
        return marks(self.contest)

    @cached_property
    def hypotheses(self) -> tuple[HypothesisResult, ...]:
        """The registered hypotheses."""
        return hypothesis_results(self.contest)

    @cached_property
    def agents(self) -> tuple[StagedAgent, ...]:
        """All agents whose family can be audited, with the stages that let them through."""
        return staged_agents(self.contest)

    @cached_property
    def selections(self) -> list[Selection]:
        """What is kept of several seeds by audits and by others."""
        return selections(self.contest)

    def json(self) -> JsonObject:
        """Return the benchmark as plain data."""
        return {
            "populations": [self._population(test) for test in self.contest.tests],
            "rows": [row.json() for row in self.rows],
            "marks": [mark.json() for mark in self.marks],
            "hypotheses": [one.json() for one in self.hypotheses],
            "selections": [one.json() for one in self.selections],
            "agents": [
                {**dataclasses.asdict(one), "preference": number(one.preference), "stages": list(one.stages)}
                for one in self.agents
            ],
        }

    def blocks(self) -> list[str | Table]:
        """Return populations, a table of methods for each, the marks, the hypotheses and the stages."""
        return [
            self.populations_table(),
            *(self.methods_table(test) for test in self.contest.tests if test.target.tested),
            NOTES,
            self.best_table(),
            self.marks_table(),
            self.hypotheses_table(),
            stages_table(self.agents),
            selection_table(self.selections),
        ]

    def _population(self, test: PopulationTest) -> JsonObject:
        target = test.target
        labels = Counter(one.preference.label for one in target.agents if one.preference.levels)
        return {
            "population": target.name,
            "family": target.family,
            "architecture": target.architecture,
            "agents": len(target.agents),
            "kept": len(target.kept),
            "excluded": len(target.agents) - len(target.kept),
            "tested": target.tested,
            "reason": target.refusal or None,
            "pool": None if target.pool is None else target.pool.address,
            "labels": {label: labels[label] for label in LABELS},
            "fitted_on": {kind: [one.name for one in fits.sources] for kind, fits in test.fits.items()},
            "best": {str(tier): test.best(tier) for tier in Tier},
            "chosen": {str(tier): self.contest.chosen(test, tier) for tier in Tier},
        }

    def populations_table(self) -> Table:
        """Return the populations with their agents."""
        headers = ["population", "family", "network", "agents", "excluded", *LABELS, "fits from"]
        rows: list[list[object]] = []
        for test in self.contest.tests:
            target = test.target
            labels = Counter(one.preference.label for one in target.agents if one.preference.levels)
            fitted = ", ".join(one.short_name for one in test.fits[MAIN].sources) or "-"
            excluded = "all" if target.refusal else len(target.agents) - len(target.kept)
            counts = [labels[label] for label in LABELS]
            names = [f"{target.short_name}", target.family, target.architecture]
            rows.append([*names, len(target.agents), excluded, *counts, target.refusal or fitted])
        return Table(headers, rows, title="populations, with their agents by measured preference")

    def methods_table(self, test: PopulationTest) -> Table:
        """Return one row a method, those with the highest correlation first."""
        headers = ["method", "tier", "spearman", "ahead", "brier skill", "calibration", "AUROC", "worth", "seconds"]
        target = test.target
        rows = [method_cells(row) for row in ranked_rows(test)]
        return Table(headers, rows, title=f"{target.short_name}: {len(target.kept)} of {len(target.agents)} agents")

    def best_table(self) -> Table:
        """Return the method that is chosen on other populations beside the best one chosen on the same."""
        rows: list[list[object]] = []
        for test in self.contest.tests:
            for tier in (Tier.T2, Tier.T3):
                chosen, best = self.contest.chosen(test, tier), test.best(tier)
                if chosen is None or best is None:
                    continue
                cells = [cell for name in (chosen, best) for cell in (name, str(test.estimate(name)))]
                rows.append([test.target.short_name, str(tier), *cells])
        headers = ["population", "tier", "chosen on others", "spearman", "best on the same", "spearman there"]
        return Table(headers, rows, title="best methods; the one chosen on the same population is an optimistic choice")

    def marks_table(self) -> Table:
        """Return the registered marks."""
        rows = [[one.name, one.threshold, one.word, one.measured] for one in self.marks]
        return Table(["mark", "threshold", "result", "measured"], rows, title="registered marks")

    def hypotheses_table(self) -> Table:
        """Return the registered hypotheses."""
        rows = [[one.number, one.statement, one.verdict, one.measured] for one in self.hypotheses]
        return Table(["hypothesis", "statement", "verdict", "measured"], rows, title="registered hypotheses")


def ranked_rows(test: PopulationTest) -> list[Row]:
    """Return the rows of a population, the highest correlation first and those without a result last."""
    return sorted(test.rows.values(), key=lambda row: (-row.value, row.tier, row.method))


def method_cells(row: Row) -> list[object]:
    """Return the cells of one method in the table of a population."""
    main = row.main
    if main.spearman is None:
        return [row.method, str(row.tier), row.reason or "-", *["-"] * 6]
    skill = None if main.levels is None else main.levels.brier_skill.value
    return [
        row.method,
        str(row.tier),
        str(main.spearman),
        "-" if main.ahead is None else str(main.ahead),
        formatted(skill, ".2f"),
        formatted(main.calibration_error, ".3f"),
        formatted(row.auroc, ".2f"),
        "-" if row.tier is Tier.T4 else "> 64" if row.worth is None else str(row.worth),
        formatted(row.seconds, ".2f"),
    ]


def benchmark(names: Sequence[str] = (), *, cache: Path | None = None, levels: int = LEVELS) -> Benchmark:
    """Run all methods on populations whose preferences are measured.

    Args:
        names: run folders of populations or zoo:NAME; all populations of the zoo by default.
        cache: the folder that keeps measurements; `~/.cache/goalmaze/audit` by default.
        levels: number of levels on which preferences are measured.

    Raises:
        GoalmazeError: there is no such population, or its agents differ in more than their seed.
    """
    populations, kept = load_populations(names), MeasurementCache(cache)
    measured = [measure_population(one, kept, levels) for one in populations]
    contest = Contest.of(measured)
    for test in progress(contest.tests, "comparing methods", "population"):
        _ = test.rows
    return Benchmark(contest)


def run_benchmark(names: Sequence[str], *, cache: Path | None, figures: Path | None) -> Benchmark:
    """Run the benchmark as the command line asks for it, and draw its figure where a folder is given."""
    if figures is not None:
        # Before the work, so that a folder that cannot be made costs no time.
        make_folder(figures, "--figures")
    result = benchmark(names, cache=cache)
    if figures is not None:
        # matplotlib is slow to import, and only figures need it.
        from goalmaze.experiments.audit.benchmark.figures import draw_benchmark

        draw_benchmark(result.contest, figures)
    return result
