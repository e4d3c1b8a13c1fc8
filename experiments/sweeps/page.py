"""Put the tables of sweeps into a page: ``python -m goalmaze.experiments.sweeps.page docs/reproduced.md SWEEPS``.

Between ``<!-- sweep NAME -->`` and ``<!-- end -->`` the page gets the table of the sweep in the folder SWEEPS/NAME, as
``goalmaze sweep NAME --out SWEEPS/NAME --gather --markdown`` prints it, with how many of its runs are finished. Its
picture goes to ``pictures/reproduced-NAME.png`` beside the page. Where no run is finished the page stays as it is.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.experiments.sweeps.command import run
from goalmaze.experiments.sweeps.config import SweepConfig
from goalmaze.experiments.sweeps.figures import PICTURE
from goalmaze.experiments.sweeps.plan import find_plan, read_plan
from goalmaze.experiments.sweeps.results import gather

PLACE = re.compile(r"(<!-- sweep (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, sweeps: Path, pictures: Path) -> str:
    """Return a page with the tables of the sweeps in a folder, and copy their pictures."""

    def told(place: re.Match[str]) -> str:
        name, root = place[2], sweeps / place[2]
        if not gather(read_plan(find_plan(name)), root):
            return place[0]
        report = run(SweepConfig(plan=name, out=root, gather=True, markdown=True))
        pictures.mkdir(exist_ok=True)
        shutil.copy(root / PICTURE, pictures / f"reproduced-{name}.png")
        state = f"{report.finished} of {len(report.plan.tasks)} runs are finished."
        return f"{place[1]}\n{state}\n\n{report.text()}\n\n{place[3]}"

    return PLACE.sub(told, page)


def main() -> None:
    """Fill a page in."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("page", type=Path)
    arguments.add_argument("sweeps", type=Path, help="the folder that holds the folders of the sweeps")
    chosen = arguments.parse_args()
    text = filled(chosen.page.read_text(), chosen.sweeps, chosen.page.parent / "pictures")
    write_atomically(chosen.page, text.encode())


if __name__ == "__main__":
    main()
