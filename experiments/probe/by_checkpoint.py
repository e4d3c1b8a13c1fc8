"""What can be read along training: the same probes at every checkpoint that a run kept."""

from __future__ import annotations

import dataclasses
from typing import Any

from tqdm import tqdm

from goalmaze.agents.loading import load_agent, run_folder
from goalmaze.agents.training.checkpoint_schedule import checkpoint_series
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.tables import table
from goalmaze.experiments.probe.by_site import ProbeReport, read_agent
from goalmaze.experiments.probe.config import ProbeConfig
from goalmaze.probes.readout.reading import Reading


@dataclasses.dataclass(frozen=True)
class CheckpointReport:
    """The readings of one agent at each of its checkpoints, by steps of training."""

    agent: str
    reports: dict[int, ProbeReport]

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "agent": self.agent,
            "checkpoints": [{"steps": steps, **report.json()} for steps, report in self.reports.items()],
        }

    def text(self) -> str:
        """Return a table for each target, a row a checkpoint and a column a site."""
        first = next(iter(self.reports.values()))
        parts = [
            f"{self.agent} along training: scores on {first.levels} mazes, fitted on {first.fit_levels} others; * "
            "where a reading is evidence\n(--json has intervals, baselines and steering)"
        ]
        for target in dict.fromkeys(one.reading.concept for one in first.readings):
            rows = [
                [f"{steps:,}", *(_cell(one.reading) for one in report.readings if one.reading.concept == target)]
                for steps, report in self.reports.items()
            ]
            sites = [one.reading.site for one in first.readings if one.reading.concept == target]
            parts.append(f"{target}\n{table(['steps', *sites], rows)}")
        return "\n\n".join(parts)


def _cell(reading: Reading) -> str:
    return f"{reading.score.value:.2f}{'*' if reading.is_evidence else ' '}"


def read_checkpoints(config: ProbeConfig) -> CheckpointReport:
    """Read every checkpoint of a run.

    Raises:
        GoalmazeError: the run kept none, or there is no such site or target.
    """
    kept = checkpoint_series(run_folder(config.agent))
    if not kept:
        raise GoalmazeError(f"{config.agent} kept no checkpoints along its training: choose a run that did, or no --by")
    reports = {}
    for steps, path in tqdm(kept.items(), desc="checkpoints", unit="checkpoint", disable=None):
        reports[steps] = read_agent(load_agent(str(path)), config)
    return CheckpointReport(config.agent, reports)
