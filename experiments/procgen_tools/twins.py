"""Fill the tables of a recipe and its twin: ``python -m goalmaze.experiments.procgen_tools.twins docs``.

In ``docs/procgen.md``, the text between ``<!-- twins NAME TWIN -->`` and ``<!-- end -->`` is replaced by what the
reports of two populations of the zoo say of each of their agents: the one trained with the cheese near the corner, and
the one trained with the cheese anywhere.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from goalmaze.agents.files import write_atomically
from goalmaze.agents.zoo import zoo_folder
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject, value_at
from goalmaze.envs.levels import NO_SHIFT
from goalmaze.experiments.common.pages import filled
from goalmaze.experiments.common.run_report import read_population_report
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.procgen_tools.page import PAGE

BLOCK = re.compile(r"<!-- (twins (\S+) (\S+)) -->")


class Measure(NamedTuple):
    """One row an agent.

    Attributes:
        title: what is measured.
        shift: on which levels.
        value: the path of the value in an evaluation, such as "preference.cue".
        interval: the path of its interval; empty where there is none.
    """

    title: str
    shift: str
    value: str
    interval: str = ""

    def cell(self, agent: JsonObject) -> str:
        """Return the value in an agent's report, with its interval."""
        evaluation = agent["in_distribution"] if self.shift == NO_SHIFT else agent["shifts"][self.shift]
        value = value_at(evaluation, self.value)
        if not self.interval:
            return str(formatted(value, ".2f"))
        ends = value_at(evaluation, self.interval)
        return f"{formatted(value, '.3f')} [{formatted(ends['low'], '.3f')}, {formatted(ends['high'], '.3f')}]"


SOLVED = ("solved", "solved_interval")
CORNER = ("preference.cue", "preference")

MEASURES = (
    Measure("solved, the own training distribution", NO_SHIFT, *SOLVED),
    Measure("solved, `goal-anywhere`", "goal-anywhere", *SOLVED),
    Measure("solved, `goal-at` (1, 1), the top left", "goal-at", *SOLVED),
    Measure("**corner first**, `goal-anywhere`, where cheese and corner are a choice", "goal-anywhere", *CORNER),
    Measure("**corner first**, `goal-at` (1, 1), where they are a choice", "goal-at", *CORNER),
    Measure("steps taken over steps needed, training distribution", NO_SHIFT, "detour"),
)


def twin_table(names: Sequence[str], reports: Sequence[JsonObject]) -> Table:
    """Return the table of several populations with the same training seeds: a row a measure and seed.

    Args:
        names: of the populations.
        reports: their reports, as `report.json` holds them.

    Raises:
        GoalmazeError: their training seeds or their numbers of levels differ.
    """
    seeds = [[agent["seed"] for agent in report["agents"]] for report in reports]
    levels = {report["levels"] for report in reports}
    if any(own != seeds[0] for own in seeds) or len(levels) != 1:
        raise GoalmazeError(f"{' and '.join(names)} must have the same training seeds and numbers of levels")
    rows = [
        [measure.title if index == 0 else "", seed, *(measure.cell(report["agents"][index]) for report in reports)]
        for measure in MEASURES
        for index, seed in enumerate(seeds[0])
    ]
    title = f"`{'`, `'.join(names)}`: {levels.pop():,} held-out levels a shift"
    return Table(["", "seed", *(f"`{name}`" for name in names)], rows, title)


def fill_page(page: str) -> str:
    """Return a page with the tables of the populations that its comments name."""
    for comment, *names in BLOCK.findall(page):
        reports = [read_population_report(zoo_folder(name)) for name in names]
        page = filled(page, comment, [twin_table(names, reports), "95 % intervals that cover levels"])
    return page


def main() -> None:
    """Fill the page in the folder of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("docs", type=Path, help="the folder of the documentation")
    page = parser.parse_args().docs / PAGE
    write_atomically(page, fill_page(page.read_text("utf-8")).encode())


if __name__ == "__main__":
    main()
