"""Charts as SVG that stands in a page: words stay words, and size, paper and ink are the page's."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from goalmaze.experiments.common.plots import bare
from goalmaze.experiments.evaluate.goal_inference import GoalInference
from goalmaze.experiments.evaluate.goal_inference_figures import draw_calibrations, looks_of
from goalmaze.experiments.evaluate.grid import Grid
from goalmaze.experiments.evaluate.grid_figures import COLOURS, Measure, arrived, draw_curve, numeric_dials, preference
from goalmaze.experiments.reports.findings import AgentFindings

WIDTH, HEIGHT = 4.2, 2.9
"""Inches; so small that the words can be read where the chart is as wide as a phone."""

INK, MUTED, LINE = "#010203", "#9a9a9a", "#e5e5e5"
THEMED = {
    INK: "var(--ink)",
    "#000000": "var(--ink)",
    "#555555": "var(--muted)",
    MUTED: "var(--faint)",
    "#bbbbbb": "var(--faint)",
    LINE: "var(--line)",
    "#0072b2": "var(--blue)",
}
"""Colours that follow the page's, light or dark; black and the darkest of the series' colours are among them."""

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "goalmaze",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK
    ),
}
LEFT_OUT = ("Creator", "Date", "Format", "Type")
"""What matplotlib would say of the file, which is a part of the page here."""

DASHES = {"return": "-", "cue_return": (0, (3, 2))}

Draw = Callable[[Axes], None]


def chart(draw: Draw, name: str, label: str) -> Markup:
    """Return one panel as SVG for a page.

    Args:
        draw: fills the panel.
        name: unlike that of any other chart of the page; its parts are named after it.
        label: what is to be seen, for those who do not see it.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        bare(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=dict.fromkeys(LEFT_OUT))
    return inline(buffer.getvalue(), name, label)


def inline(svg: str, name: str, label: str) -> Markup:
    """Return an SVG file of matplotlib as a part of a page: its names unlike other charts', nothing fetched."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]*)"', body)
    head = Markup('<svg class="chart" viewBox="{}" role="img" aria-label="{}">').format(view[1] if view else "", label)
    body = head + Markup(body[body.index(">") + 1 :])
    body = re.sub(r'\bid="', f'id="{escape(name)}-', body).replace("xlink:href", "href")
    body = re.sub(r'href="#', f'href="#{escape(name)}-', body)
    body = re.sub(r"url\(#", f"url(#{escape(name)}-", body)
    for colour, themed in THEMED.items():
        body = body.replace(f": {colour}", f": {themed}")
    return Markup(body)


def short(name: str) -> str:
    """Return an agent's name as it fits into a chart."""
    return name.removeprefix("zoo:").rstrip("/").split("/")[-1].lstrip("_")[:28]


def training_charts(agents: Sequence[AgentFindings], name: str) -> list[tuple[Markup, str]]:
    """Return charts of the training of those agents whose logs are there, each with what it shows."""
    known = [(i, one) for i, one in enumerate(agents) if one.origin.steps]
    if not known:
        return []

    def lines(columns: Sequence[str], title: str) -> Draw:
        def draw(axes: Axes) -> None:
            for (i, one), column in itertools.product(known, columns):
                axes.plot(
                    [step / 1000 for step in one.origin.steps],
                    one.origin.curves[column],
                    color=COLOURS[i % len(COLOURS)],
                    linestyle=DASHES.get(column, "-") if len(columns) > 1 else "-",
                    linewidth=1.5,
                    label=short(one.name) if column == columns[0] else None,
                )
            axes.set_xlabel("thousand environment steps")
            axes.set_title(title, loc="left", fontsize=10)
            axes.set_ylim(bottom=0)
            axes.grid(axis="y", color=LINE, linewidth=0.6)
            if len(known) > 1:
                axes.legend(frameon=False, fontsize=8)

        return draw

    panels = {
        "solved": (("solved",), "solved, of the latest 1,000 training episodes"),
        "returns": (("return", "cue_return"), "true return (solid) and cue return (dashed)"),
        "entropy": (("entropy",), "entropy of the policy, nats"),
    }
    return [
        (chart(lines(columns, title), f"{name}-{key}", f"{title}, over environment steps"), title)
        for key, (columns, title) in panels.items()
    ]


def dial_charts(grid: Grid, name: str) -> list[Markup]:
    """Return two charts for each dial whose values are numbers: capability and goal, a line for each agent."""
    found = []
    for dial in numeric_dials(grid):
        for measure, title in (
            (arrived, "capability: gets somewhere, levels as in training"),
            (preference, "goal: prefers the cue, where goal and cue part"),
        ):

            def draw(axes: Axes, dial: str = dial, measure: Measure = measure, title: str = title) -> None:
                draw_curve(axes, grid, dial, measure)
                axes.set_title(title, loc="left", fontsize=10)
                axes.set_xlabel(f"{dial} (dotted: as trained)")
                if len(grid.agents) > 1:
                    axes.legend(frameon=False, fontsize=8)

            key = f"{name}-{dial}-{measure.__name__}"
            found.append(chart(draw, key, f"{title}, along the dial {dial}"))
    return found


def calibration_chart(board: GoalInference, name: str) -> Markup:
    """Return how often actions were taken against the chance that each account gave them."""
    looks = looks_of(board)

    def draw(axes: Axes) -> None:
        draw_calibrations(axes, board, looks)
        axes.set_title("", loc="left")
        axes.set_aspect("auto")
        handles = [
            axes.plot([], [], color=colour, marker=marker, markersize=5, linewidth=1.1, label=account)[0]
            for account, (colour, marker) in looks.items()
        ]
        axes.legend(handles=handles, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))

    return chart(draw, name, "how often actions were taken, against the chance that each account gave them")
