"""`goalmaze report`: all that behaviour tells of agents, in one HTML file that needs nothing else."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from tqdm import tqdm

from goalmaze.agents.files import write_atomically
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.reports.findings import FamilyFindings, find, gathered


@dataclasses.dataclass(frozen=True)
class HtmlReport:
    """A report that was written.

    Attributes:
        file: where.
        bytes: of the file.
        families: what was found, by family and size of the agents.
    """

    file: Path
    bytes: int
    families: tuple[FamilyFindings, ...]

    def json(self) -> dict[str, Any]:
        """Return what was found as plain data."""
        return {"file": str(self.file), "bytes": self.bytes, "families": [one.json() for one in self.families]}

    def text(self) -> str:
        """Return the verdict on every agent, and where the file is."""
        verdicts = [agent.verdict for one in self.families for agent in one.agents]
        lines = [f"{one.label}: {one.sentence}{f' {one.doubt}' if one.doubt else ''}" for one in verdicts]
        return "\n".join([*lines, "", f"wrote {self.file} ({self.bytes:,} bytes); open it in any browser"])


def run(config: ReportConfig) -> HtmlReport:
    """Ask all questions of the agents and write the report.

    Raises:
        GoalmazeError: an agent or dial is unknown, an agent cannot be judged, or the file cannot be written.
    """
    check_writable(config.out)
    groups = gathered(config)
    parts = sum(len(group) + 1 for group in groups) + 1
    with tqdm(total=parts, desc="report", unit="part", disable=None) as bar:

        def tick(_: str) -> None:
            bar.update()

        families = tuple(find(config, group, tick) for group in groups)
        # matplotlib is slow to import, so bad input is answered before
        from goalmaze.experiments.reports.page import rendered

        page = rendered(config, families).encode("utf-8", "replace")
        write_atomically(config.out, page)
        bar.update()
    return HtmlReport(config.out, len(page), families)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is played.

    Raises:
        GoalmazeError: naming what stands in the way.
    """
    if not path.parent.is_dir():
        raise GoalmazeError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise GoalmazeError(f"cannot write {path}: it is a folder; name a file")
    if not os.access(path.parent, os.W_OK):
        raise GoalmazeError(f"cannot write {path}: the folder {path.parent} may not be written to; choose another")
