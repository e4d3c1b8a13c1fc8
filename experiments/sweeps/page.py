"""Put the tables of sweeps into their pages: ``python -m goalmaze.experiments.sweeps.page docs SWEEPS``.

In every page of the folder docs/reproduced, the text between ``<!-- sweep NAME -->`` and ``<!-- end -->`` is replaced
by the number of finished runs of the sweep in the folder SWEEPS/NAME and by its table, as ``goalmaze sweep NAME --out
SWEEPS/NAME --gather --markdown`` prints it. Its figure goes to ``docs/pictures/reproduced-NAME.png``. A sweep without
finished runs changes nothing.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.experiments.sweeps.command import gather
from goalmaze.experiments.sweeps.figures import FIGURE
from goalmaze.experiments.sweeps.plan import find_plan, read_plan

BLOCK = re.compile(r"(<!-- sweep (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill_page(page: str, sweeps: Path, pictures: Path) -> str:
    """Return a page with the tables of the sweeps in a folder, and copy their figures."""

    def table(block: re.Match[str]) -> str:
        name, root = block[2], sweeps / block[2]
        result = gather(read_plan(find_plan(name)), root)
        if not result.finished:
            return block[0]
        pictures.mkdir(exist_ok=True)
        shutil.copy(root / FIGURE, pictures / f"reproduced-{name}.png")
        state = f"{result.finished} of {len(result.plan.tasks)} runs are finished."
        return f"{block[1]}\n{state}\n\n{result.markdown()}\n{block[3]}"

    return BLOCK.sub(table, page)


def main() -> None:
    """Fill the pages of the folder that the command line names."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("docs", type=Path, help="the folder of the documentation")
    arguments.add_argument("sweeps", type=Path, help="the folder that holds the folders of the sweeps")
    chosen = arguments.parse_args()
    for page in sorted((chosen.docs / "reproduced").glob("*.md")):
        text = fill_page(page.read_text("utf-8"), chosen.sweeps, chosen.docs / "pictures")
        write_atomically(page, text.encode())


if __name__ == "__main__":
    main()
