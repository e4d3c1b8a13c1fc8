"""Put the tables of sweeps into their pages: ``python -m goalmaze.experiments.sweeps.page docs SWEEPS``.

In every page of the folder docs, the text between ``<!-- sweep NAME -->`` and ``<!-- end -->`` is replaced by the
number of finished runs of the sweep in the folder SWEEPS/NAME and by its tables, as ``goalmaze sweep NAME --out
SWEEPS/NAME --gather --markdown`` prints them; of a plan with a threshold, by the tables of the threshold alone. Its
figure goes to ``docs/pictures/sweep-NAME.png``. A sweep without finished runs changes nothing.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.experiments.against_readings.figures import OUTCOME_FIGURE
from goalmaze.experiments.sweeps.command import SweepResult, gather
from goalmaze.experiments.sweeps.figures import FIGURE
from goalmaze.experiments.sweeps.marks import MARK_FIGURE
from goalmaze.experiments.sweeps.plan import find_plan, read_plan
from goalmaze.experiments.sweeps.threshold import THRESHOLD_FIGURE

BLOCK = re.compile(r"(<!-- sweep (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def figure_of(result: SweepResult) -> Path:
    """Return the figure of a sweep that a page shows."""
    if result.arms:
        return result.root / OUTCOME_FIGURE
    if result.marks:
        return result.root / MARK_FIGURE
    return result.root / (THRESHOLD_FIGURE if result.lines else FIGURE)


def tables_of(result: SweepResult) -> str:
    """Return the tables of a sweep that a page shows, as Markdown."""
    if result.lines:
        return "\n".join(table.markdown() for table in result.threshold_tables)
    return result.markdown()


def fill_page(page: str, sweeps: Path, pictures: Path) -> str:
    """Return a page with the tables of the sweeps in a folder, and copy their figures."""

    def table(block: re.Match[str]) -> str:
        name, root = block[2], sweeps / block[2]
        result = gather(read_plan(find_plan(name)), root)
        if not result.finished:
            return block[0]
        pictures.mkdir(exist_ok=True)
        shutil.copy(figure_of(result), pictures / f"sweep-{name}.png")
        state = f"{result.finished} of {len(result.plan.tasks)} runs are finished."
        return f"{block[1]}\n{state}\n\n{tables_of(result)}\n{block[3]}"

    return BLOCK.sub(table, page)


def main() -> None:
    """Fill the pages of the folder that the command line names."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("docs", type=Path, help="the folder of the documentation")
    arguments.add_argument("sweeps", type=Path, help="the folder that holds the folders of the sweeps")
    chosen = arguments.parse_args()
    for page in sorted(chosen.docs.rglob("*.md")):
        text = page.read_text("utf-8")
        if BLOCK.search(text):
            write_atomically(page, fill_page(text, chosen.sweeps, chosen.docs / "pictures").encode())


if __name__ == "__main__":
    main()
