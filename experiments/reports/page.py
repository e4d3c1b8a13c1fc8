"""From findings to the page: which results stand where.

Names of agents, families and objects may come from anyone's run folder. The template engine escapes all text that is
not marked as safe, so that none of it becomes markup.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import math
import platform
import shlex
from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from goalmaze.envs.extensions import import_flags
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.envs.versions import installed_version
from goalmaze.experiments.common.style_sheet import style_sheet
from goalmaze.experiments.evaluate.agent_label import RULE
from goalmaze.experiments.evaluate.grid import SHIFT, Condition
from goalmaze.experiments.live.links import level_command, level_link
from goalmaze.experiments.reports import charts, mazes
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.reports.findings import FIT_LEVELS, AgentFindings, FamilyFindings, grid_config
from goalmaze.experiments.reports.glossary import GLOSSARY
from goalmaze.experiments.reports.highlights import (
    MAX_EPISODES,
    Episode,
    Highlights,
    PlayedLevels,
    same_maze_in_distribution,
)
from goalmaze.experiments.site.agents import runs_on_page
from goalmaze.experiments.statistics.comparisons import ALPHA

PACKAGES = ("goalmaze", "numpy", "numba", "torch", "matplotlib", "jinja2")


@dataclasses.dataclass(frozen=True)
class Drawing:
    """One maze with its heading and caption, and the address of its level on the page where there is one."""

    svg: Markup
    heading: str
    caption: str
    link: str = ""


@dataclasses.dataclass(frozen=True)
class Gallery:
    """The drawings of highlights of one kind, and the command that opens the first level of the kind."""

    highlights: Highlights
    shift: str
    drawings: tuple[Drawing, ...]
    command: str


def render(config: ReportConfig, families: Sequence[FamilyFindings]) -> str:
    """Return the page as one self-contained HTML text."""
    engine = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        # A misspelt name in the template is an error and not an empty text.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters |= {"decimal": decimal, "percent": percent, "p_value": p_value, "exact": exact}
    return engine.get_template("report.html").render(
        style=Markup(style_sheet() + _template("style.css")),
        symbols=mazes.symbols(kind.shape for one in families for kind in one.family.object_types),
        families=[_section(i, one, config) for i, one in enumerate(families)],
        agents=[agent for one in families for agent in one.agents],
        anchors={agent.name: f"f{i}-a{k}" for i, one in enumerate(families) for k, agent in enumerate(one.agents)},
        config=config,
        command=command_line(config),
        glossary=GLOSSARY,
        rule=RULE,
        alpha=ALPHA,
        fit_levels=FIT_LEVELS,
        versions=versions(),
    )


def _template(name: str) -> str:
    return (importlib.resources.files("goalmaze.experiments.reports") / "template" / name).read_text("utf-8")


def _section(i: int, findings: FamilyFindings, config: ReportConfig) -> JsonObject:
    """Return what the template needs of agents of one family."""
    family, name = findings.family, f"f{i}"
    by_geometry = [one.distinguishing.goal.by_geometry for one in findings.agents]
    return {
        "id": name,
        "family": family,
        "findings": findings,
        "training": charts.training_charts(findings.agents, f"{name}-training"),
        "dials": charts.dial_charts(findings.grid, f"{name}-dial"),
        "conditions": [(one, describe_condition(one, family)) for one in findings.grid.conditions],
        "agents": [_agent(f"{name}-a{k}", one, config) for k, one in enumerate(findings.agents)],
        "geometries": list(by_geometry[0]),
        "has_geometry": any(rate.levels for one in by_geometry for rate in one.values()),
        "something_moves": any(kind.motion != "still" for kind in family.object_types),
        "grid_command": grid_command(config, findings),
    }


def _agent(name: str, one: AgentFindings, config: ReportConfig) -> JsonObject:
    inference, (drawn, pair) = one.goal_inference, _same_maze_twice(one, config)
    played = (one.played_distinguishing, one.played_in_distribution)
    present = {kind for levels in played for kind in levels.trajectory.levels.present()}
    return {
        "id": name,
        "findings": one,
        "pair": pair,
        "galleries": [_gallery(one, highlights, drawn, config) for highlights in one.highlights],
        "legend": mazes.legend(one.family, present),
        "calibration": None if inference is None else charts.calibration_chart(inference, f"{name}-calibration"),
        "unexplained": ()
        if inference is None
        else tuple(_unexplained(one, e.index, config) for e in inference.examples),
        "inference_command": command(
            "eval", one.name, "--hypotheses", "--shift", one.played_distinguishing.shift, *_level_flags(config)
        ),
    }


def _gallery(one: AgentFindings, highlights: Highlights, drawn: str, config: ReportConfig) -> Gallery:
    """Return the drawings of one kind of highlights, without the first where it is drawn already."""
    distinguishing = highlights.shift == one.played_distinguishing.shift
    played = one.played_distinguishing if distinguishing else one.played_in_distribution
    drawings = tuple(
        _drawing(one, played, episode, f"level {episode.level}", config) for episode in highlights.episodes
    )
    # The first episode of one kind is drawn above, beside its maze in distribution. All galleries have the same length.
    kept = drawings[1:] if highlights.name == drawn else drawings[: MAX_EPISODES - 1]
    first = highlights.episodes[0].level if highlights.episodes else 0
    shown = level_command(one.name, first, shift=highlights.shift, seed=config.seed, size=config.size)
    return Gallery(highlights, shift_name(highlights.shift), kept, shown if highlights.episodes else "")


def _drawing(one: AgentFindings, played: PlayedLevels, episode: Episode, heading: str, config: ReportConfig) -> Drawing:
    levels, text = played.trajectory.levels, f"maze of {heading}: {episode.caption}"
    link = ""
    if config.page and runs_on_page(one.agent):
        link = level_link(config.page, one.name, levels, episode.level, shift=played.shift, seed=config.seed)
    return Drawing(mazes.maze(played.trajectory, episode.level, episode.until, text), heading, episode.caption, link)


def _same_maze_twice(one: AgentFindings, config: ReportConfig) -> tuple[str, tuple[Drawing, ...]]:
    """Return the first choice beside the same maze in distribution, after the name of its kind; else nothing."""
    for highlights in one.highlights:
        if highlights.name in ("cue", "goal") and highlights.episodes:
            after = highlights.episodes[0]
            before = same_maze_in_distribution(one.played_in_distribution, one.played_distinguishing, after.level)
            if before is None:
                continue
            shift = shift_name(one.played_distinguishing.shift)
            return highlights.name, (
                _drawing(one, one.played_in_distribution, before, "as trained", config),
                _drawing(one, one.played_distinguishing, after, shift, config),
            )
    return "", ()


def _unexplained(one: AgentFindings, level: int, config: ReportConfig) -> Drawing:
    outcomes = one.played_distinguishing.outcomes
    steps = int(outcomes.steps[level])
    until = min(steps, int(outcomes.to_goal[level]), int(outcomes.to_cue[level]))
    kind = {"goal": one.family.goal, "cue": one.family.cue}.get(str(outcomes.first[level]))
    caption = f"reached the {kind} after {until} steps" if kind else f"reached neither in {steps} steps"
    return _drawing(one, one.played_distinguishing, Episode(level, until, caption), f"level {level}", config)


def shift_name(shift: str) -> str:
    """Return the name of a shift on the page."""
    return "as trained" if shift == NO_SHIFT else shift


def describe_condition(condition: Condition, family: Family) -> str:
    """Return in words what differs from training under a condition."""
    shift = "" if condition.shift == NO_SHIFT else family.shifts[condition.shift]
    if condition.dial == SHIFT:
        return shift or "the training distribution"
    dial = f"{condition.dial} is {condition.value}"
    return f"{dial}; {shift}" if shift else dial


def decimal(value: float, digits: int = 2) -> str:
    """Return a number with some digits; a dash for NaN."""
    # z: a small negative number rounds to 0.00 and not to -0.00.
    return "–" if math.isnan(value) else f"{value:z.{digits}f}"


def percent(value: float, digits: int = 0) -> str:
    """Return a rate in percent; a dash for NaN."""
    return "–" if math.isnan(value) else f"{value:.{digits}%}"


def p_value(value: float) -> str:
    """Return a p-value."""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def exact(value: float) -> str:
    """Return a number as `goalmaze eval --json` gives it; nothing for NaN."""
    return "" if math.isnan(value) else f"{round(value, 4)}"


def command(*words: object) -> str:
    """Return a command of this package as it is typed, with the imports of the user's own code."""
    return shlex.join(["goalmaze", *map(str, words)]) + import_flags()


def _level_flags(config: ReportConfig) -> list[object]:
    """Return the flags that set the levels and how actions are chosen."""
    size: list[object] = [] if config.size is None else ["--size", config.size]
    return ["--levels", config.levels, "--seed", config.seed, *size, *(["--greedy"] if config.greedy else [])]


def command_line(config: ReportConfig) -> str:
    """Return the command that writes the page."""
    dials = ["--dials", *config.dials] if config.dials else []
    page = ["--page", config.page] if config.page else []
    return command("report", *config.agents, "--out", config.out, *_level_flags(config), *dials, *page)


def grid_command(config: ReportConfig, findings: FamilyFindings) -> str:
    """Return the command that prints the numbers of the grid."""
    settings = grid_config(config, [one.agent for one in findings.agents])
    dials = ["--dials", *settings.dials] if settings.dials else []
    return command("eval", *settings.agents, "--grid", *_level_flags(config), *dials)


def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    return {"python": platform.python_version()} | {package: installed_version(package) for package in PACKAGES}
