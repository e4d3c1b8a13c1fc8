"""The tables of the page ``formation.md`` and its pictures, made by one command.

In the page, the text between ``<!-- formation -->`` and ``<!-- end -->`` is replaced by the tables of a study, in which
a row holds all fractions of training. The rows of the forecasts with their intervals go to ``tables/`` beside it, and
the pictures to ``pictures/``.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

from goalmaze.agents.files import write_atomically
from goalmaze.envs.text_files import read_text
from goalmaze.experiments.common.folders import make_folder
from goalmaze.experiments.common.pages import filled
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.formation.figures import draw_study
from goalmaze.experiments.formation.forecasts import COMPETITORS, Forecast
from goalmaze.experiments.formation.study import Formation, study

PAGE, PICTURES, ROWS = "formation.md", "pictures", "tables/formation-forecasts.csv"


def filled_page(page: str, result: Formation) -> str:
    """Return the text of a page with the tables of a study."""
    plain = dataclasses.replace(result, pictures=())
    long = {result.forecast_table(name).title for name in COMPETITORS}
    blocks = [block for block in plain.blocks() if isinstance(block, str) or block.title not in long]
    blocks[1:1] = [compact_table(result, name) for name in COMPETITORS if result.forecasts]
    return filled(page, "formation", blocks)


def compact_table(result: Formation, behaviour: str) -> Table:
    """Return the forecasts against one competitor: a row for each measure, a column for each fraction of training.

    A cell holds the correlation, and the outcome of the comparison where it is not a tie.
    """
    fractions = result.registered.fractions
    rows: list[list[object]] = []
    for condition in result.conditions:
        chosen = [one for one in condition.forecasts if one.behaviour == behaviour]
        at = {(one.measure, one.fraction): one for one in chosen}
        competitor = (
            [_cell(at.get((chosen[0].measure, one)), of_competitor=True) for one in fractions] if chosen else []
        )
        rows += [[condition.name, behaviour, *competitor]] if chosen else []
        for measure in dict.fromkeys(one.measure for one in chosen):
            rows.append([condition.name, measure, *(_cell(at.get((measure, one))) for one in fractions)])
    headers = ["condition", "measure", *(f"{one:.0%}" for one in fractions)]
    return Table(headers, rows, f"Spearman correlation with the final preference, compared with {behaviour}")


def _cell(row: Forecast | None, *, of_competitor: bool = False) -> str:
    if row is None:
        return "-"
    if of_competitor:
        return f"{row.competitor.value:.2f}"
    decided = row.adjusted == row.adjusted and row.outcome != "ties"
    return f"{row.inside.value:.2f}" + (f" {row.outcome}" if decided else "")


def forecast_rows(result: Formation) -> str:
    """Return all forecasts with intervals, differences and outcomes as comma-separated values."""
    tables = [result.forecast_table(name) for name in COMPETITORS]
    headers = ["behaviour", *("correlation" if one in COMPETITORS else one for one in tables[0].headers)]
    rows = [[name, *row] for name, table in zip(COMPETITORS, tables, strict=True) for row in table.rows]
    return Table(headers, rows).csv()


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
    rows = chosen.docs / ROWS
    make_folder(rows.parent, "docs")
    write_atomically(rows, forecast_rows(result).encode())
    page = chosen.docs / PAGE
    write_atomically(page, filled_page(read_text(page), result).encode())
