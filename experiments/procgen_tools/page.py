"""Fill the page of Procgen: ``python -m goalmaze.experiments.procgen_tools.page docs REPORTS``.

REPORTS holds a folder for each recipe, with the reports of its training seeds: what ``python -m
goalmaze.experiments.procgen_tools AGENT --json`` prints, as NUMBER.json. The tables go between ``<!-- procgen -->`` and
``<!-- end -->`` of ``docs/procgen.md``, and the figure to ``docs/pictures/procgen-tools.png``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.agents.files import write_atomically
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject, value_at
from goalmaze.experiments.common.pages import filled
from goalmaze.experiments.common.plots import save_figure, series_style
from goalmaze.experiments.common.tables import Table

PAGE, PICTURE = "procgen.md", "pictures/procgen-tools.png"

Reports: TypeAlias = Mapping[str, Sequence[JsonObject]]
"""Recipe → the reports of its training seeds."""


def read_reports(folder: Path) -> dict[str, list[JsonObject]]:
    """Return the reports of every recipe in a folder.

    Raises:
        GoalmazeError: there are none.
    """
    found = {
        recipe.name: [json.loads(path.read_text("utf-8")) for path in sorted(recipe.glob("*.json"))]
        for recipe in sorted(folder.iterdir())
        if recipe.is_dir()
    }
    if not any(found.values()):
        raise GoalmazeError(f"{folder} holds no reports: make a folder a recipe, with NUMBER.json of each seed")
    return found


def over_seeds(values: Iterable[float]) -> str:
    """Return a mean with the least and the largest value of the training seeds."""
    numbers = list(values)
    return f"{np.mean(numbers):.2f} ({min(numbers):.2f} to {max(numbers):.2f})"


def seed_table(
    reports: Reports,
    part: str,
    headers: Sequence[str],
    key: Callable[[JsonObject], tuple[str, ...]],
    values: Mapping[str, str],
    title: str,
) -> Table:
    """Return a table with a row for each key and, for each recipe and value, the mean over its seeds.

    Args:
        reports: of all recipes.
        part: the part of a report that holds the rows.
        headers: of the key's columns.
        key: of a row, what these columns hold.
        values: name of a value → its path in a row, such as "outcomes.goal".
        title: above the table.
    """
    columns = [(recipe, name) for recipe in reports for name in values]
    rows = []
    for row in next(iter(reports.values()))[0][part]:
        same = {recipe: [_row(report[part], key, key(row)) for report in own] for recipe, own in reports.items()}
        cells = [over_seeds(_rate(one, values[name]) for one in same[recipe]) for recipe, name in columns]
        rows.append([*key(row), *cells])
    return Table([*headers, *(f"{recipe}: {name}" for recipe, name in columns)], rows, title)


def _row(
    rows: Sequence[JsonObject], key: Callable[[JsonObject], tuple[str, ...]], wanted: tuple[str, ...]
) -> JsonObject:
    return next(row for row in rows if key(row) == wanted)


def _rate(row: JsonObject, path: str) -> float:
    return float(value_at(row, path)["value"])


def tables(reports: Reports) -> list[str | Table]:
    """Return the tables of the page behind a line that says what their cells are."""
    some = next(iter(reports.values()))[0]
    seeds = ", ".join(f"{len(own)} of `{recipe}`" for recipe, own in reports.items())
    counted = some["vectors"][0]["outcomes"]["goal"]["levels"]
    return [
        f"Cells: mean over training seeds ({seeds}), with the least and the largest.",
        seed_table(
            reports,
            "regions",
            ["region of the cheese"],
            lambda row: (f"{row['region']}x{row['region']}",),
            {"solved": "solved"},
            f"solved levels by region, {some['levels']} levels each",
        ),
        seed_table(
            reports,
            "vectors",
            ["vector", "factor"],
            lambda row: (row["vector"], f"{row['strength']:+.0f}"),
            {"cheese first": "outcomes.goal", "corner first": "outcomes.other"},
            f"vectors at `{some['site']}`, {counted} levels in which cheese and corner are a choice",
        ),
        seed_table(
            reports,
            "heat",
            ["condition", "steps off the path"],
            lambda row: (row["condition"], "all" if row["low"] is None else f"from {row['low']}"),
            {"path probability": "mean"},
            f"path probability of cells, the cheese removed, edits at `{some['site']}`",
        ),
    ]


def draw(reports: Reports) -> Figure:
    """Return the figure: solved levels by region, and path probabilities by distance."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, *others = figure.subplots(1, 1 + len(reports), sharey=True)
    for index, (recipe, own) in enumerate(reports.items()):
        _lines(
            left, [[(row["region"], row["solved"]["value"]) for row in one["regions"]] for one in own], recipe, index
        )
    left.set_xlabel("region of the cheese, cells a side")
    left.set_ylabel("solved levels, path probability")
    left.set_title("solved levels", fontsize=11, loc="left")
    left.legend(title="trained with", frameon=False, loc="lower left")
    for axes, (recipe, own) in zip(others, reports.items(), strict=True):
        conditions = list(dict.fromkeys(row["condition"] for row in own[0]["heat"]))
        for index, condition in enumerate(conditions):
            rows = [
                [row for row in one["heat"] if row["condition"] == condition and row["low"] is not None] for one in own
            ]
            series = [[(row["low"], row["mean"]["value"]) for row in one] for one in rows]
            _lines(axes, series, condition, index + len(reports))
        axes.set_xlabel("steps off the path to the corner, from")
        axes.set_title(f"path probability, {recipe}", fontsize=11, loc="left")
        axes.legend(frameon=False, loc="upper right")
    left.set_ylim(0, 1.02)
    return figure


def _lines(axes: Axes, series: Sequence[Sequence[tuple[float, float]]], label: str, index: int) -> None:
    """Draw the mean of several seeds as a line with markers, and every seed as a thin one."""
    style = series_style(index)
    for one in series:
        axes.plot(*zip(*one, strict=True), color=style["color"], linewidth=0.8, alpha=0.5)
    mean = np.mean([[value for _, value in one] for one in series], axis=0)
    axes.plot([position for position, _ in series[0]], mean, linewidth=2, label=label, **style)


def main() -> None:
    """Fill the page from the reports in a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("docs", type=Path, help="the folder of the documentation")
    parser.add_argument("reports", type=Path, help="the folder with a folder of reports for each recipe")
    chosen = parser.parse_args()
    reports = read_reports(chosen.reports)
    page = chosen.docs / PAGE
    write_atomically(page, filled(page.read_text("utf-8"), "procgen", tables(reports)).encode())
    save_figure(draw(reports), chosen.docs / PICTURE)


if __name__ == "__main__":
    main()
