"""The tables of the page ``audit-benchmark.md`` and the picture that README shows, made by one command.

In the page, the text between ``<!-- benchmark -->`` and ``<!-- end -->`` is replaced by the tables of a run on all
populations of the zoo. The picture goes to ``pictures/audit-benchmark.png`` beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.envs.text_files import read_text
from goalmaze.experiments.audit.benchmark.benchmark import Benchmark, run_benchmark
from goalmaze.experiments.common.pages import filled

PAGE, PICTURES = "audit-benchmark.md", "pictures"


def filled_page(page: str, result: Benchmark) -> str:
    """Return the text of a page with the tables of a benchmark."""
    return filled(page, "benchmark", result.tables())


def main() -> None:
    """Remake page and picture in the folder that the command line names."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("docs", type=Path, help="the folder of the documentation")
    arguments.add_argument("--cache", type=Path, help="the folder that keeps measurements")
    arguments.add_argument("--populations", nargs="*", default=(), help="populations; all of the zoo by default")
    chosen = arguments.parse_args()
    result = run_benchmark(chosen.populations, cache=chosen.cache, figures=chosen.docs / PICTURES)
    page = chosen.docs / PAGE
    write_atomically(page, filled_page(read_text(page), result).encode())
