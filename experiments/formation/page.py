"""The tables of the page ``formation.md`` and its pictures, made by one command.

In the page, the text between ``<!-- formation -->`` and ``<!-- end -->`` is replaced by the tables of a study. The
pictures go to ``pictures/`` beside it.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.envs.text_files import read_text
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.formation.figures import draw_study
from goalmaze.experiments.formation.study import Formation, study

PAGE, PICTURES = "formation.md", "pictures"

BLOCK = re.compile(r"(<!-- formation -->\n).*?(<!-- end -->)", re.DOTALL)


def filled_page(page: str, result: Formation) -> str:
    """Return the text of a page with the tables of a study."""
    plain = dataclasses.replace(result, pictures=())
    parts = [_section(block) for block in plain.blocks()]
    return BLOCK.sub(lambda block: f"{block[1]}\n" + "\n".join(parts) + f"\n{block[2]}", page)


def _section(block: str | Table) -> str:
    if isinstance(block, str):
        return "".join(f"- {line}\n" for line in block.splitlines())
    heading = block.title[:1].upper() + block.title[1:]
    return f"### {heading}\n\n{Table(block.headers, block.rows).markdown()}"


def main() -> None:
    """Remake page and pictures in the folder that the command line names."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("docs", type=Path, help="the folder of the documentation")
    arguments.add_argument("runs", nargs="+", help="run folders, or zoo:NAME")
    arguments.add_argument("--cache", type=Path, help="the folder that keeps measurements")
    arguments.add_argument("--no-coefficient", action="store_true", help="leave out the local learning coefficient")
    chosen = arguments.parse_args()
    result = study(chosen.runs, cache=chosen.cache, costly=not chosen.no_coefficient)
    draw_study(result, chosen.docs / PICTURES)
    page = chosen.docs / PAGE
    write_atomically(page, filled_page(read_text(page), result).encode())
