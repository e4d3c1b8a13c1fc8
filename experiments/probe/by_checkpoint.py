"""What probes predict along training: the same probes at every checkpoint that a run kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Unpack

from tqdm import tqdm

from goalmaze.agents.loading import Agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.probe.by_site import ProbeOptions, ProbeReport, probe
from goalmaze.probes.readout.probe_fitter import ProbeKind
from goalmaze.probes.readout.site_reader import ProbeResult, Verdict

MARKS: dict[Verdict, str] = {"evidence": "*", "no evidence": " ", "undecidable": "–"}
"""Verdict → what follows a score in the tables."""


@dataclasses.dataclass(frozen=True)
class CheckpointReport(Result):
    """The reports of one run at each of its checkpoints.

    Attributes:
        agent: the name of the run.
        reports: by environment steps of training.
    """

    agent: str
    reports: dict[int, ProbeReport]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            "agent": self.agent,
            "checkpoints": [{"steps": steps, **report.json()} for steps, report in self.reports.items()],
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading and, for each target, a table with a row for each checkpoint and a column for each site."""
        # Every checkpoint is probed with the same options, so the first gives targets and sites of all.
        first = next(iter(self.reports.values()))
        # The last checkpoint has met most levels.
        met = list(self.reports.values())[-1].overlap
        tables = []
        for target in first.targets:
            columns = _columns([one.result for one in first.of_target(target)])
            rows = [
                [f"{steps:,}", *(_cell(one.result) for one in report.of_target(target))]
                for steps, report in self.reports.items()
            ]
            tables.append(Table(["steps", *columns], rows, target))
        return [
            f"{self.agent} along training: scores on {first.header.levels} mazes, fitted on {first.fit_levels} others; "
            f"* marks evidence, – what cannot be decided\n(--json has intervals, baselines and steering)\n"
            f"{met.sentence}",
            *tables,
        ]


def _columns(results: Sequence[ProbeResult]) -> list[str]:
    """Return the name of each result's column: its site, and its kind of probe where a site has several."""
    several = len({one.site for one in results}) < len(results)
    return [f"{one.site} {one.kind}" if several else one.site for one in results]


def _cell(result: ProbeResult) -> str:
    return f"{result.score.value:.2f}{MARKS[result.verdict]}"


def probe_checkpoints(
    name: str,
    checkpoints: Mapping[int, Agent],
    *,
    kind: ProbeKind = "square",
    **options: Unpack[ProbeOptions],
) -> CheckpointReport:
    """Probe every checkpoint of a run.

    Args:
        name: of the run, for the report.
        checkpoints: the agents by environment steps of training.
        kind: the kind of probe.
        options: as those of `probe`.

    Raises:
        GoalmazeError: there is no checkpoint, or a site or target is unknown.
    """
    if not checkpoints:
        raise GoalmazeError(f"{name} kept no checkpoints during training: choose a run that did, or leave --by out")
    progress = tqdm(checkpoints.items(), desc="checkpoints", unit="checkpoint", disable=None)
    return CheckpointReport(name, {steps: probe(agent, probe=kind, **options) for steps, agent in progress})
