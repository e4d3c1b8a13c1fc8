"""Charts as SVG inside a page: text stays text, and the colours of paper and ink are those of the page."""

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

from goalmaze.envs import look
from goalmaze.experiments.common.plots import DARK_GREY, GREY, LIGHT_GREY, PALETTE, hide_frame, series_style
from goalmaze.experiments.evaluate.goal_inference import GoalInference
from goalmaze.experiments.evaluate.goal_inference_figures import draw_calibration, model_styles
from goalmaze.experiments.evaluate.grid import Grid
from goalmaze.experiments.evaluate.grid_figures import (
    Measure,
    arrived,
    draw_curve,
    numeric_dials,
    preference,
    short_name,
)
from goalmaze.experiments.reports.findings import AgentFindings

WIDTH, HEIGHT = 4.2, 2.9
"""Inches; small enough that the text can be read where the chart is as wide as a phone."""

INK = look.hexadecimal(look.STAND_IN)
"""A colour that no other part of a chart has, so that it can be replaced by the page's colour of text."""

THEME = {
    INK: "var(--ink)",
    PALETTE[6]: "var(--ink)",
    PALETTE[0]: "var(--series)",
    DARK_GREY: "var(--muted)",
    GREY: "var(--faint)",
    LIGHT_GREY: "var(--line)",
}
"""Colour → the page's variable, which has a value for the light and one for the dark page; among them the colours of
the palette that are too dark for a dark page."""

STYLE: dict[Any, Any] = {  # matplotlib types its keys as one long Literal
    # Text stays text, which can be searched and read aloud.
    "svg.fonttype": "none",
    # A fixed salt: the same results give the same bytes.
    "svg.hashsalt": "goalmaze",
    # A dollar sign in the name of an agent is no formula.
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK
    ),
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
"""Metadata that matplotlib would write into the file, the date among them; left out."""

MAX_NAME = 28
DASHES = {"return": "-", "cue_return": (0, (3, 2))}
TRAINING_PANELS = {
    "solved": (("solved",), "solved, of the latest 1,000 training episodes"),
    "returns": (("return", "cue_return"), "true return (solid) and cue return (dashed)"),
    "entropy": (("entropy",), "entropy of the policy, nats"),
}
"""Name of a panel → the columns of the log that are drawn, and the title."""

Draw = Callable[[Axes], None]


def chart(draw: Draw, name: str, label: str) -> Markup:
    """Return one panel as SVG for a page.

    Args:
        draw: fills the panel.
        name: different from that of any other chart of the page; the ids of its parts begin with it.
        label: the text alternative.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        hide_frame(axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata=NO_METADATA)
    return inline(buffer.getvalue(), name, label)


def inline(svg: str, name: str, label: str) -> Markup:
    """Return an SVG file of matplotlib as a part of a page, with unique ids and without references to other files."""
    # Without the XML header and document type, which HTML does not allow inside a page.
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]*)"', body)
    head = Markup('<svg class="chart" viewBox="{}" role="img" aria-label="{}">').format(view[1] if view else "", label)
    body = head + Markup(body[body.index(">") + 1 :])
    # Every chart numbers its parts from the start: with a prefix, ids differ within the page, and so do references.
    body = re.sub(r'\bid="', f'id="{escape(name)}-', body).replace("xlink:href", "href")
    body = re.sub(r'href="#', f'href="#{escape(name)}-', body)
    body = re.sub(r"url\(#", f"url(#{escape(name)}-", body)
    for colour, themed in THEME.items():
        body = body.replace(f": {colour}", f": {themed}")
    return Markup(body)


def legend_name(agent: str) -> str:
    """Return an agent's name as it fits into a legend; matplotlib ignores names that begin with an underscore."""
    return short_name(agent).lstrip("_")[:MAX_NAME]


def training_charts(agents: Sequence[AgentFindings], name: str) -> list[Markup]:
    """Return charts of the training of those agents whose logs are known."""
    known = [(i, one) for i, one in enumerate(agents) if one.origin.steps]
    if not known:
        return []
    return [
        chart(_training_panel(known, columns, title), f"{name}-{key}", f"{title}, over environment steps")
        for key, (columns, title) in TRAINING_PANELS.items()
    ]


def _training_panel(known: Sequence[tuple[int, AgentFindings]], columns: Sequence[str], title: str) -> Draw:
    def draw(axes: Axes) -> None:
        for (i, one), column in itertools.product(known, columns):
            axes.plot(
                [step / 1000 for step in one.origin.steps],
                one.origin.curves[column],
                color=series_style(i)["color"],
                linestyle=DASHES.get(column, "-") if len(columns) > 1 else "-",
                linewidth=1.5,
                label=legend_name(one.name) if column == columns[0] else None,
            )
        axes.set_xlabel("thousand environment steps")
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=LIGHT_GREY, linewidth=0.6)
        if len(known) > 1:
            axes.legend(frameon=False, fontsize=8)

    return draw


def dial_charts(grid: Grid, name: str) -> list[Markup]:
    """Return two charts for each dial whose values are numbers: capability and preference, a curve for each agent."""
    panels = (
        (arrived, "capability: reaches goal or cue, in distribution"),
        (preference, "preference for the cue, distinguishing shift"),
    )
    return [
        chart(
            _dial_panel(grid, dial, measure, title),
            f"{name}-{dial}-{measure.__name__}",
            f"{title}, along the dial {dial}",
        )
        for dial in numeric_dials(grid)
        for measure, title in panels
    ]


def _dial_panel(grid: Grid, dial: str, measure: Measure, title: str) -> Draw:
    def draw(axes: Axes) -> None:
        draw_curve(axes, grid, dial, measure)
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel(f"{dial} (dotted: as trained)")
        if len(grid.agents) > 1:
            axes.legend(frameon=False, fontsize=8)

    return draw


def calibration_chart(inference: GoalInference, name: str) -> Markup:
    """Return the rate at which actions were taken against the probability that each goal model gave them."""
    styles = model_styles(inference)

    def draw(axes: Axes) -> None:
        draw_calibration(axes, inference, styles)
        axes.set_title("", loc="left")
        axes.set_aspect("auto")
        handles = [
            axes.plot([], [], color=style["color"], marker=style["marker"], markersize=5, linewidth=1.1, label=model)[0]
            for model, style in styles.items()
        ]
        axes.legend(handles=handles, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.02, 0.5))

    return chart(draw, name, "rate at which actions were taken, against the probability that each goal model gave them")
