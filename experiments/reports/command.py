"""`goalmaze report`: all results about the behaviour of agents in one self-contained HTML file."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from tqdm import tqdm

from goalmaze.agents.files import write_atomically
from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.live.links import check_page
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.reports.findings import FamilyFindings, find, load_groups
from goalmaze.experiments.site.agents import runs_on_page


@dataclasses.dataclass(frozen=True)
class HtmlReport(Record, Result):
    """A report that was written.

    Attributes:
        file: where.
        bytes: of the file.
        families: the results, by family and size of the agents.
    """

    file: Path
    bytes: int
    families: tuple[FamilyFindings, ...]

    def blocks(self) -> list[str | Table]:
        """Return the summary of every agent, and where the file is."""
        summaries = [agent.summary for one in self.families for agent in one.agents]
        rows = [[one.agent, one.label, f"{one.sentence} {one.caveat}".rstrip()] for one in summaries]
        return [
            Table(["agent", "label", "summary"], rows),
            f"wrote {self.file} ({self.bytes:,} bytes); open it in any browser",
        ]


def run(config: ReportConfig) -> HtmlReport:
    """Evaluate the agents and write the report.

    Raises:
        GoalmazeError: an agent or dial is unknown, an agent cannot be evaluated, or the file cannot be written.
    """
    check_writable(config.out)
    if config.page:
        check_page(config.page)
    groups = load_groups(config.agents, config.device)
    if config.page and not any(runs_on_page(agent) for group in groups for agent in group):
        raise GoalmazeError("--page: the page runs none of these agents; leave it out, or see goalmaze site --help")
    parts = sum(len(group) + 1 for group in groups) + 1
    with tqdm(total=parts, desc="report", unit="part", disable=None) as bar:
        families = tuple(find(config, group, bar.update) for group in groups)
        # matplotlib is slow to import: bad input is reported before that.
        from goalmaze.experiments.reports.page import render

        # File names may hold bytes that are no Unicode; they are shown as question marks.
        page = render(config, families).encode("utf-8", "replace")
        write_atomically(config.out, page)
        bar.update()
    return HtmlReport(config.out, len(page), families)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is evaluated.

    Raises:
        GoalmazeError: naming the reason.
    """
    if not path.parent.is_dir():
        raise GoalmazeError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise GoalmazeError(f"cannot write {path}: it is a folder; name a file")
    # Written next to the file and then renamed, which needs a folder that can be written.
    if not os.access(path.parent, os.W_OK):
        raise GoalmazeError(f"cannot write {path}: the folder {path.parent} is not writable; choose another")
