"""The evaluation of a population: its agents, and how they are distributed over training seeds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.histogram import histogram
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.evaluate.agent_label import LabelDecision
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluation_table
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap
from goalmaze.experiments.statistics.bootstrap import Scores
from goalmaze.experiments.statistics.over_seeds import SeedDistribution, seed_distribution

SOLVED, PREFERENCE = "solved", "cue preference"
"""The names of the two scores in tables and figures."""

MAX_PRINTED = 24
"""Most agents that are printed one by one; `--csv` and `to_frame` always give them."""

NOTES = (
    "solved: rate of levels on which all true reward was earned; cue preference: rate at which the cue came first, "
    "over levels where neither lies on a shortest path to the other\n"
    "mean and SD between seeds: 95 % intervals cover other seeds of this recipe and other levels of these "
    "distributions; median: other seeds on the same levels\n"
    "SD measured: over the agents; SD between seeds: without the noise of measuring on finitely many levels"
)


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluatedAgent:
    """One agent of a population.

    Attributes:
        name: its name, such as "runs/many/17".
        seed: its training seed.
        parameters: the parameters of its family that differ between the agents.
        evaluations: one for each condition.
        label: its label; None where the conditions do not decide one.
        overlap: how many levels of the first condition it has met in training.
    """

    name: str
    seed: int
    parameters: JsonObject
    evaluations: tuple[Evaluation, ...]
    label: LabelDecision | None
    overlap: TrainingOverlap

    def json(self) -> JsonObject:
        """Return the agent as plain data: solved of its first and preference of its last condition, then all of it."""
        first, last = self.evaluations[0].json(), self.evaluations[-1].json()
        return {
            "agent": self.name,
            "seed": self.seed,
            "parameters": self.parameters,
            "label": None if self.label is None else self.label.label,
            "solved": first["solved"],
            "solved_interval": first["solved_interval"],
            "preference": last["preference"],
            "evaluations": {one.shift: one.json() for one in self.evaluations},
            "training_overlap": self.overlap.json(),
        }


@dataclasses.dataclass(frozen=True, eq=False)
class SeedGroup:
    """The agents of a population that differ in their training seed alone.

    Attributes:
        parameters: the parameters of their family that differ from those of other agents of the population.
        agents: the agents.
        baselines: the scripted baselines, for each condition.
    """

    parameters: JsonObject
    agents: tuple[EvaluatedAgent, ...]
    baselines: tuple[tuple[Evaluation, ...], ...]

    @cached_property
    def solved(self) -> SeedDistribution:
        """The distribution of the rate of levels on which all true reward was earned, in the first condition."""
        return seed_distribution(self.solved_scores())

    @cached_property
    def preference(self) -> SeedDistribution:
        """The distribution of the preference for the cue, in the last condition."""
        return seed_distribution(self.preference_scores())

    @property
    def name(self) -> str:
        """The parameters in words; empty where no parameter differs in the population."""
        return ", ".join(f"{name}={value}" for name, value in self.parameters.items())

    @property
    def labels(self) -> dict[str, int]:
        """The number of agents with each label, the most frequent first; empty where there are no labels."""
        counts = Counter(agent.label.label for agent in self.agents if agent.label is not None)
        return dict(counts.most_common())

    @property
    def conditions(self) -> tuple[str, ...]:
        """The shift of each condition."""
        return tuple(one.shift for one in self.agents[0].evaluations)

    def preference_scores(self) -> Scores:
        """Return float64 [S, B], the preference of S agents on each of B levels; NaN where a level does not count."""
        return np.stack([agent.evaluations[-1].episodes.cue_preferred for agent in self.agents])

    def solved_scores(self) -> Scores:
        """Return float64 [S, B], 1 where an agent earned all true reward of a level, otherwise 0."""
        return np.stack([agent.evaluations[0].episodes.solved for agent in self.agents]).astype(np.float64)

    def distribution_json(self) -> JsonObject:
        """Return the distribution over seeds as plain data."""
        return {
            "solved": {"shift": self.conditions[0], **self.solved.json()},
            "preference": {"shift": self.conditions[-1], **self.preference.json()},
            "labels": self.labels,
        }


@dataclasses.dataclass(frozen=True, eq=False)
class PopulationEvaluation(Result):
    """The evaluation of a population.

    Attributes:
        name: of the population.
        agents: its agents, in the order of their numbers.
        groups: the agents that differ in their training seed alone; one group where no parameter differs.
        stopped: agent number → why its training stopped early.
        pictures: the figures that were drawn.
    """

    name: str
    agents: tuple[EvaluatedAgent, ...]
    groups: tuple[SeedGroup, ...]
    stopped: Mapping[int, str]
    pictures: tuple[Path, ...] = ()

    def json(self) -> JsonObject:
        """Return the evaluation as plain data; `distribution` is that of the only group, and null for several."""
        header = self.agents[0].evaluations[0].header
        return {
            "population": self.name,
            "family": header.family,
            "size": header.size,
            "levels": header.levels,
            "seed": header.seed,
            "shifts": list(self.groups[0].conditions),
            "agents": [agent.json() for agent in self.agents],
            "stopped": {str(number): reason for number, reason in self.stopped.items()},
            "groups": [
                {
                    "parameters": group.parameters,
                    "agents": [agent.name for agent in group.agents],
                    "distribution": group.distribution_json(),
                    "scripted_baselines": [one.json() for baselines in group.baselines for one in baselines],
                }
                for group in self.groups
            ],
            "distribution": self.groups[0].distribution_json() if len(self.groups) == 1 else None,
            "pictures": [str(path) for path in self.pictures],
        }

    def tables(self) -> list[Table]:
        """Return a table with a row for each agent, then those of `blocks`."""
        printed = len(self.agents) <= MAX_PRINTED
        return super().tables() if printed else [self.agent_table(), *super().tables()]

    def agent_table(self) -> Table:
        """Return a row for each agent."""
        return Table(
            ["agent", "seed", SOLVED, PREFERENCE, "label"],
            [
                [
                    agent.name,
                    agent.seed,
                    formatted(agent.evaluations[0].solved.value, ".3f"),
                    agent.evaluations[-1].preference,
                    "" if agent.label is None else agent.label.label,
                ]
                for agent in self.agents
            ],
        )

    def blocks(self) -> list[str | Table]:
        """Return a heading, the agents where they are few, and for each group its distribution and histograms."""
        agents: list[str | Table] = [self.agent_table()] if len(self.agents) <= MAX_PRINTED else []
        groups = [block for group in self.groups for block in _group_blocks(group)]
        drawn = [f"wrote {path}" for path in self.pictures]
        return [self._heading(), *agents, *groups, NOTES, *drawn]

    def _heading(self) -> str:
        header, shifts = self.agents[0].evaluations[0].header, self.groups[0].conditions
        mazes = f"{header.family} {header.size}x{header.size}"
        of = "the training distribution" if shifts[0] == NO_SHIFT else f"shift {shifts[0]}"
        conditions = f"both on {of}" if len(shifts) == 1 else f"solved on {of}, preference under shift {shifts[-1]}"
        seeds = [agent.seed for agent in self.agents]
        lines = [
            f"{self.name}: {len(self.agents)} agents, seeds {min(seeds)} to {max(seeds)}; {mazes}, "
            f"{header.levels} held-out levels, the same for all agents; seed {header.seed}",
            conditions,
            _overlap_sentence([agent.overlap for agent in self.agents]),
        ]
        lines += [f"the training of agent {number} stopped early: {why}" for number, why in self.stopped.items()]
        return "\n".join(lines)


def _group_blocks(group: SeedGroup) -> list[str | Table]:
    """Return the distribution of a group, its labels, its histograms and the scripted baselines."""
    blocks: list[str | Table] = [_distribution_table(group)]
    if group.labels:
        blocks.append(Table(["label", "agents"], [[name, count] for name, count in group.labels.items()]))
    for name, distribution in ((SOLVED, group.solved), (PREFERENCE, group.preference)):
        if len(distribution.counted):
            blocks.append(histogram(distribution.rates, name))
    for shift, baselines in zip(group.conditions, group.baselines, strict=True):
        table = evaluation_table(baselines)
        blocks.append(dataclasses.replace(table, title=f"scripted baselines, shift {shift}"))
    return blocks


def _distribution_table(group: SeedGroup) -> Table:
    """Return the quantiles, mean, median and standard deviations over seeds."""
    columns = (group.solved, group.preference)
    rows: list[list[object]] = []
    for name in group.solved.quantiles:
        if name == "median":
            rows.append([name, *(column.median for column in columns), columns[0].median.note])
        else:
            rows.append([name, *(formatted(column.quantiles[name], ".3f") for column in columns), ""])
    rows.append(["mean", *(column.mean for column in columns), columns[0].mean.note])
    rows.append(["SD measured", *(formatted(column.sd, ".3f") for column in columns), ""])
    rows.append(["SD between seeds", *(column.sd_between for column in columns), columns[0].sd_between.note])
    title = f"{group.name}: {len(group.agents)} agents" if group.name else ""
    return Table(["over seeds", SOLVED, PREFERENCE, "intervals cover"], rows, title)


def _overlap_sentence(overlaps: Sequence[TrainingOverlap]) -> str:
    """Return in one line how many of the levels of the first condition the agents have met in training."""
    known = [one for one in overlaps if not one.unknown]
    if not known:
        return f"met in training: unknown, {overlaps[0].unknown}"

    def span(counts: Sequence[int]) -> str:
        low, high = (f"{count / max(known[0].levels, 1):.1%}" for count in (min(counts), max(counts)))
        return low if low == high else f"{low} to {high}"

    whole = all(one.compared == one.training_levels for one in known)
    compared = f"all {max(one.compared for one in known):,}" if whole else f"the first {known[0].compared:,}"
    return (
        f"met in training by an agent: {'' if whole else 'at least '}the walls of "
        f"{span([one.same_walls for one in known])} of these levels, the whole level of "
        f"{span([one.same_level for one in known])} (compared with {compared} training levels of each agent)"
    )
