"""The report of a training run: how the trained agent behaves in distribution and under every shift."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence

from goalmaze.agents.files import write_json
from goalmaze.agents.loading import Agent, load_agent
from goalmaze.agents.training.run import TrainingResult, read_recipe
from goalmaze.envs.extensions import import_flags
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.run_report import REPORT
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.evaluate.agent_label import LabelDecision, label
from goalmaze.experiments.evaluate.evaluation import Evaluation, evaluate_shifts, evaluation_table
from goalmaze.experiments.evaluate.training_overlap import TrainingOverlap, quick_overlap
from goalmaze.experiments.jobs.curriculum_summary import CurriculumSummary, curriculum_summary

REPORT_LEVELS = 1024
"""Number of held-out evaluation levels a shift."""


@dataclasses.dataclass(frozen=True)
class TrainingReport(Result):
    """A training run and the evaluation of its agent.

    Attributes:
        training: the run.
        agent: the trained agent.
        in_distribution: its evaluation on the training distribution.
        shifted: its evaluation under every shift of the family.
        overlap: how many levels of its evaluation on the training distribution it has met in training.
        curriculum: what its curriculum did; None for domain randomisation.
    """

    training: TrainingResult
    agent: Agent
    in_distribution: Evaluation
    shifted: tuple[Evaluation, ...]
    overlap: TrainingOverlap
    curriculum: CurriculumSummary | None = None

    @property
    def label(self) -> LabelDecision:
        """The label of the agent, by the rule of `goalmaze.experiments.evaluate.agent_label`."""
        distinguishing = next(one for one in self.shifted if one.shift == self.agent.family.distinguishing_shift)
        return label(self.in_distribution, distinguishing)

    def json(self) -> JsonObject:
        """Return the report as plain data, as it is written into the run folder."""
        return {
            "run": str(self.training.folder),
            "steps": self.training.steps,
            "checkpoint": None if self.agent.header is None else self.agent.header.digest,
            "seconds": round(self.training.seconds, 1),
            "interrupted": self.training.interrupted,
            "label": self.label.label,
            "label_reason": self.label.reason or None,
            "in_distribution": self.in_distribution.json(),
            "shifts": {one.shift: one.json() for one in self.shifted},
            "training_overlap": self.overlap.json(),
            **({} if self.curriculum is None else {"curriculum": self.curriculum.json()}),
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return a heading, one row a shift, and the next command."""
        training = self.training
        heading = (
            f"{training.folder}: trained for {training.steps:,} steps in {training.seconds:.0f} s; label {self.label}\n"
            f"{self.in_distribution.header.levels} held-out levels a shift; 'none' is the training distribution\n"
            f"{self.overlap.sentence}"
        )
        if self.curriculum is not None:
            heading += f"\n{self.curriculum}"
        return [
            heading,
            evaluation_table([self.in_distribution, *self.shifted], "shift"),
            f"next: {self._next_command()}",
        ]

    def _next_command(self) -> str:
        # A family or network of the user's own is known to the next command only if it is imported there too.
        folder, imports = shlex.quote(str(self.training.folder)), import_flags()
        return f"goalmaze eval {folder} --shift {self.agent.family.distinguishing_shift}{imports}"


def report_run(training: TrainingResult) -> TrainingReport:
    """Evaluate the agent of a run under every shift of its family, and write the report into the run folder.

    Raises:
        StopError: the run was interrupted; an agent that is half trained is evaluated by `goalmaze eval` alone.
    """
    training.check_complete()
    # From the folder and not from memory: the agent that is evaluated is the one that others will load.
    agent = load_agent(str(training.folder))
    in_distribution, *shifted = evaluate_shifts(agent, REPORT_LEVELS).values()
    overlap = quick_overlap(agent, agent.family.levels(0, count=REPORT_LEVELS))
    curriculum = curriculum_summary(training.folder, read_recipe(training.folder)[0])
    report = TrainingReport(training, agent, in_distribution, tuple(shifted), overlap, curriculum)
    write_json(training.folder / REPORT, report.json())
    return report
