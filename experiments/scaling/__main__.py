"""Laws of scale from trained runs: `python -m goalmaze.experiments.scaling rates|seal|predict ...`.

`rates` shows the regret of runs by width and learning rate; `seal` measures the runs of a grid, splits the rows and
writes the digest of the sealed ones into a file; `predict` checks the digest, fits the laws to the other rows, and
prints how well they predict the sealed ones. Measurements are kept in a cache.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.text_files import read_text
from goalmaze.experiments.common.console import complain
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.scaling.grid import grid_rows, rate_rows
from goalmaze.experiments.scaling.rates import RateChoice
from goalmaze.experiments.scaling.report import Scaling, predict_sealed
from goalmaze.experiments.scaling.rows import seal, split_rows


def main() -> None:
    """Choose rates, seal the rows of runs, or predict them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    rates = actions.add_parser("rates", help="the regret at the end by width and learning rate")
    sealing = actions.add_parser("seal", help="measure a grid and write the digest of the sealed rows")
    predict = actions.add_parser("predict", help="fit the laws and open the sealed rows")
    for one in (sealing, predict):
        one.add_argument("file", type=Path, help="the file of the seal")
    for one in (rates, predict):
        one.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    predict.add_argument("--docs", type=Path, help="the folder of the documentation, to remake its tables and picture")
    for one in (rates, sealing, predict):
        one.add_argument("runs", nargs="+", help="run folders with a series of checkpoints")
        one.add_argument("--cache", type=Path, help="the folder that keeps measurements")
    chosen = parser.parse_args()
    try:
        _run(chosen)
    except GoalmazeError as error:
        complain(str(error))
        sys.exit(1)


def _run(chosen: argparse.Namespace) -> None:
    if chosen.action == "rates":
        _show(RateChoice(tuple(rate_rows(chosen.runs, chosen.cache))), chosen)
        return
    split = split_rows(grid_rows(chosen.runs, chosen.cache))
    if chosen.action == "seal":
        seal(chosen.file, split)
        print(f"sealed {len(split.sealed)} of {len(split.sealed) + len(split.fitted)} rows: {split.digest}")
        return
    result = predict_sealed(split, chosen.file)
    if chosen.docs is not None:
        _remake_docs(result, chosen.docs)
    _show(result, chosen)


def _show(result: Result, chosen: argparse.Namespace) -> None:
    print(json.dumps(result.json()) if chosen.json else result.text())


def _remake_docs(result: Scaling, docs: Path) -> None:
    from goalmaze.experiments.common.pages import filled
    from goalmaze.experiments.common.plots import save_figure
    from goalmaze.experiments.scaling.figures import draw_scaling

    save_figure(draw_scaling(result.split), docs / "pictures" / "formation-scaling.png")
    page = docs / "formation.md"
    write_atomically(page, filled(read_text(page), "scaling", result.blocks()).encode())


if __name__ == "__main__":
    main()
