"""The figures of `goalmaze explain --benchmark`: AUROC of every method, agent by agent, and the curves of methods."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.plots import BLACK, LIGHT_GREY, hide_frame, save_figures, series_style
from goalmaze.experiments.explain.benchmark import GRID, MIN_AUROC
from goalmaze.experiments.explain.benchmark_report import BenchmarkReport


def draw_benchmark(report: BenchmarkReport, folder: Path) -> list[Path]:
    """Draw the figures into a folder and return the files."""
    figures = {"explain-benchmark": benchmark_figure(report), "explain-benchmark-curves": curves_figure(report)}
    return save_figures(figures, folder)


def curves_figure(report: BenchmarkReport) -> Figure:
    """Return deletion, insertion and calibration of every method, as means over agents."""
    rows = [row for row in report.means or report.rows if row.deletion_curve]
    rows.sort(key=lambda row: -row.auroc)
    figure = Figure(figsize=(13, 4.8), layout="constrained")
    panels = figure.subplots(1, 3)
    for i, row in enumerate(rows):
        # Any, because matplotlib's stubs give every keyword a type of its own.
        style: JsonObject = {**series_style(i), "markersize": 4, "label": row.method}
        # Nine methods and eight colours: baselines are dashed.
        style["linestyle"] = "--" if row.kind == "baseline" else "-"
        panels[0].plot(GRID, row.deletion_curve, **style)
        panels[1].plot(GRID, row.insertion_curve, **style)
        panels[2].plot([p for p, _ in row.calibration_curve], [q for _, q in row.calibration_curve], **style)
    panels[2].plot([0, 1], [0, 1], color=BLACK, linewidth=0.8, linestyle=":")
    titles = ("Deletion: a good order falls fast", "Insertion: a good order rises fast", "Calibration of the flip")
    labels = (
        ("fraction of elements left out, the most important first", "probability of the action"),
        ("fraction of elements put back, the most important first", "probability of the action"),
        ("predicted rate of flips", "actual rate"),
    )
    for axes, title, (x, y) in zip(panels, titles, labels, strict=True):
        axes.set_title(title, fontsize=11, loc="left")
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        axes.set_ylim(0, 1)
        hide_frame(axes)
    panels[0].legend(frameon=False, fontsize=8)
    return figure


def benchmark_figure(report: BenchmarkReport) -> Figure:
    """Return methods from left to right, the best first, with a point and an interval for each agent."""
    rows = report.means or report.rows
    methods = list(dict.fromkeys(row.method for row in sorted(rows, key=lambda row: -row.auroc)))
    methods += [method for method in dict.fromkeys(row.method for row in report.rows) if method not in methods]
    figure = Figure(figsize=(11.5, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.axhspan(MIN_AUROC, 1, color=LIGHT_GREY, alpha=0.4, zorder=0)
    axes.axhline(0.5, color=BLACK, linewidth=0.8, linestyle=":")
    agents = report.agents
    for i, agent in enumerate(agents):
        own = [row for row in report.rows if row.agent == agent]
        places = [methods.index(row.method) + 0.11 * (i - (len(agents) - 1) / 2) for row in own]
        spread = [[row.auroc - row.low for row in own], [row.high - row.auroc for row in own]]
        # Any, because matplotlib's stubs give every keyword a type of its own.
        style: JsonObject = {**series_style(i)}
        axes.errorbar(
            places,
            [row.auroc for row in own],
            spread,
            linestyle="",
            capsize=2,
            markersize=5,
            label=agent.removeprefix("zoo:"),
            **style,
        )
    kinds = {row.method: row.kind for row in report.rows}
    labels = [
        f"{method}\n({kinds[method]})" if kinds[method] != "explanation" else method.replace("-gradient", "-\ngradient")
        for method in methods
    ]
    axes.set_xticks(range(len(methods)), labels, fontsize=8)
    axes.set_ylabel("AUROC: does the action flip?")
    axes.set_ylim(0.4, 1.01)
    axes.set_title(
        f"Explanations as predictions of counterfactuals; {report.decisions} decisions an agent, 95 % over levels",
        fontsize=11,
        loc="left",
    )
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left")
    hide_frame(axes)
    return figure
