"""The page on metrics: what every number of a result means, from the docstrings that define it."""

from __future__ import annotations

from goalmaze.experiments.audit.audit import AgentAudit
from goalmaze.experiments.audit.verdict import Prediction, Verdicts
from goalmaze.experiments.catalogue.pages import markdown
from goalmaze.experiments.evaluate import metrics
from goalmaze.experiments.evaluate.evaluation import Evaluation
from goalmaze.experiments.evaluate.goal_inference import Calibration, GoalInference, GoalModelScore
from goalmaze.experiments.evaluate.metrics import Outcomes
from goalmaze.experiments.evaluate.outcomes import Capability, EpisodeOutcomes, GoalPreference, Returns
from goalmaze.experiments.reports.glossary import GLOSSARY
from goalmaze.experiments.retarget.ledger import Entry
from goalmaze.experiments.retarget.side_effects import BehaviourSummary, SideEffects
from goalmaze.experiments.retarget.task import TaskOutcomes
from goalmaze.experiments.retarget.trials import Trial
from goalmaze.experiments.statistics.bootstrap import Interval
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.probes.readout.scores import Estimate
from goalmaze.probes.readout.site_reader import ProbeResult

INTRODUCTION = """Four pages explain how these numbers are used: [Evaluation](../evaluation.md),
[Probing](../probing.md), [Retargeting](../retargeting.md) and [Audits](../audit.md). B is the number of
levels or episodes, T of steps."""

RESULTS: dict[str, tuple[type, ...]] = {
    "Behaviour": (Evaluation, Outcomes, Capability, GoalPreference, Returns),
    "Episodes": (EpisodeOutcomes,),
    "Goal inference": (GoalInference, GoalModelScore, Calibration),
    "Probing": (ProbeResult, Estimate),
    "Retargeting": (TaskOutcomes, Trial, Entry, SideEffects, BehaviourSummary),
    "Audits": (AgentAudit, Prediction, Verdicts),
    "Estimates": (Rate, Interval),
}
"""Heading → the results whose fields are listed under it."""


def page() -> str:
    """Return the page on all metrics."""
    parts = []
    for title, kinds in RESULTS.items():
        parts += [f"## {title}", *[section(kind) for kind in kinds]]
    rows = [[markdown.code(name), markdown.prose(one)] for name, one in markdown.functions(metrics).items()]
    measures = [
        "## Measures of trajectories",
        f"Functions of `{metrics.__name__}`.",
        markdown.table(["function", "result"], rows),
    ]
    terms = markdown.table(["term", "definition"], GLOSSARY.values())
    return markdown.page("Metrics", INTRODUCTION, *parts, *measures, "## Terms of a report", terms)


def section(kind: type) -> str:
    """Return the section on the fields of one result."""
    rows = [[markdown.code(name), meaning] for name, meaning in markdown.attributes(kind).items()]
    code = f"`{kind.__module__}.{kind.__qualname__}`"
    return "\n\n".join([f"### {kind.__name__}", markdown.prose(kind), code, markdown.table(["field", "meaning"], rows)])
