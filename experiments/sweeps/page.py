"""Put the tables of sweeps into a page: ``python -m goalmaze.experiments.sweeps.page docs/reproduced.md SWEEPS``.

The text between ``<!-- sweep NAME -->`` and ``<!-- end -->`` is replaced by the number of finished runs of the sweep in
the folder SWEEPS/NAME and by its table, as ``goalmaze sweep NAME --out SWEEPS/NAME --gather --markdown`` prints it. Its
figure goes to ``pictures/reproduced-NAME.png`` beside the page. A sweep without finished runs changes nothing.
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
    """Fill the page that the command line names."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("page", type=Path)
    arguments.add_argument("sweeps", type=Path, help="the folder that holds the folders of the sweeps")
    chosen = arguments.parse_args()
    text = fill_page(chosen.page.read_text(), chosen.sweeps, chosen.page.parent / "pictures")
    write_atomically(chosen.page, text.encode())


if __name__ == "__main__":
    main()
