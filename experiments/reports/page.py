"""From typed findings to the page: what is shown where. All text from outside is escaped by the template engine."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.resources
import math
import platform
import shlex
from collections.abc import Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import NO_SHIFT, Family
from goalmaze.experiments.evaluate.config import EvalConfig
from goalmaze.experiments.evaluate.grid import SHIFT, Condition
from goalmaze.experiments.reports import charts, mazes
from goalmaze.experiments.reports.config import ReportConfig
from goalmaze.experiments.reports.findings import FIT_LEVELS, AgentFindings, FamilyFindings, asked
from goalmaze.experiments.reports.glossary import GLOSSARY
from goalmaze.experiments.reports.highlights import SHOWN, Highlights, Played, as_trained
from goalmaze.experiments.reports.summary import RULE

PACKAGES = ("goalmaze", "numpy", "numba", "torch", "matplotlib", "jinja2")


@dataclasses.dataclass(frozen=True)
class Drawing:
    """One maze with what is written under it."""

    svg: Markup
    heading: str
    caption: str


@dataclasses.dataclass(frozen=True)
class Gallery:
    """Mazes of one kind of episode."""

    name: str
    title: str
    rule: str
    shift: str
    count: int
    of: int
    drawings: tuple[Drawing, ...]


def rendered(config: ReportConfig, families: Sequence[FamilyFindings]) -> str:
    """Return the page as one HTML text that needs nothing else."""
    engine = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters |= {"figure": figure, "percent": percent, "chance": chance, "exact": exact}
    return engine.get_template("report.html").render(
        style=Markup(_template("style.css")),
        symbols=mazes.symbols(kind.shape for one in families for kind in one.family.object_types),
        families=[_section(i, one, config) for i, one in enumerate(families)],
        agents=[agent for one in families for agent in one.agents],
        anchors={agent.name: f"f{i}-a{k}" for i, one in enumerate(families) for k, agent in enumerate(one.agents)},
        config=config,
        command=command_line(config),
        glossary=GLOSSARY,
        rule=RULE,
        fit_levels=FIT_LEVELS,
        versions=versions(),
    )


def _template(name: str) -> str:
    return (importlib.resources.files("goalmaze.experiments.reports") / "template" / name).read_text("utf-8")


def _section(i: int, found: FamilyFindings, config: ReportConfig) -> dict[str, Any]:
    """Return what the template needs of agents of one family."""
    family, name = found.family, f"f{i}"
    return {
        "id": name,
        "family": family,
        "findings": found,
        "training": charts.training_charts(found.agents, f"{name}-training"),
        "dials": charts.dial_charts(found.grid, f"{name}-dial"),
        "conditions": [(one, condition_says(one, family)) for one in found.grid.conditions],
        "agents": [_agent(f"{name}-a{k}", one, config) for k, one in enumerate(found.agents)],
        "geometries": list(found.agents[0].apart.goal.by_geometry),
        "told": any(share.levels for one in found.agents for share in one.apart.goal.by_geometry.values()),
        "grid_command": grid_command(config, found),
    }


def _agent(name: str, one: AgentFindings, config: ReportConfig) -> dict[str, Any]:
    board, (already, twice) = one.board, _twice(one)
    present = {kind for played in (one.parted, one.as_trained) for kind in played.trajectory.levels.present()}
    return {
        "id": name,
        "found": one,
        "twice": twice,
        "galleries": [_gallery(one, telling, already) for telling in one.tellings],
        "legend": mazes.legend(one.world, present),
        "calibration": None if board is None else charts.calibration_chart(board, f"{name}-calibration"),
        "unexplained": () if board is None else tuple(_unexplained(one, level) for level, *_ in board.shown),
        "accounts_command": command("eval", one.name, "--hypotheses", "--shift", one.parted.shift, *_settings(config)),
    }


def _gallery(one: AgentFindings, telling: Highlights, already: str) -> Gallery:
    """Return the drawings of one kind of episode, without the first where it is shown already."""
    played = one.parted if telling.shift == one.parted.shift else one.as_trained
    drawings = tuple(
        _drawing(played, episode.level, episode.until, f"level {episode.level}", episode.caption)
        for episode in telling.shown
    )
    return Gallery(
        name=telling.name,
        title=telling.title,
        rule=telling.rule,
        shift=shift_name(telling.shift),
        count=telling.count,
        of=telling.of,
        drawings=drawings[1:] if telling.name == already else drawings[: SHOWN - 1],
    )


def _drawing(played: Played, level: int, until: int, heading: str, caption: str) -> Drawing:
    svg = mazes.maze(played.trajectory, level, until, f"maze of {heading}: {caption}")
    return Drawing(svg, heading, caption)


def _twice(one: AgentFindings) -> tuple[str, tuple[Drawing, ...]]:
    """Return the most telling choice beside the same maze as trained, after the name of its kind; else nothing."""
    for telling in one.tellings:
        if telling.name in ("cue", "goal") and telling.shown:
            shown = telling.shown[0]
            before = as_trained(one.as_trained, one.parted, shown.level)
            if before is None:
                continue
            return telling.name, (
                _drawing(one.as_trained, before.level, before.until, "as trained", before.caption),
                _drawing(one.parted, shown.level, shown.until, shift_name(one.parted.shift), shown.caption),
            )
    return "", ()


def _unexplained(one: AgentFindings, level: int) -> Drawing:
    outcomes = one.parted.outcomes
    steps = int(outcomes.steps[level])
    until = min(steps, int(outcomes.to_goal[level]), int(outcomes.to_cue[level]))
    first = str(outcomes.first[level])
    thing = {"goal": one.world.goal, "cue": one.world.cue}.get(first)
    caption = f"reached the {thing} after {until} steps" if thing else f"reached neither in {steps} steps"
    return _drawing(one.parted, level, until, f"level {level}", caption)


def shift_name(shift: str) -> str:
    """Return what a shift is called on the page."""
    return "as trained" if shift == NO_SHIFT else shift


def condition_says(condition: Condition, family: Family) -> str:
    """Return what is different under a condition, in words."""
    moved = "" if condition.shift == NO_SHIFT else family.shifts[condition.shift]
    if condition.dial == SHIFT:
        return moved or "the training distribution"
    turned = f"{condition.dial} is {condition.value}"
    return f"{turned}; {moved}" if moved else turned


def figure(value: float, digits: int = 2) -> str:
    """Return a number with so many digits; a dash where it is none."""
    return "–" if math.isnan(value) else f"{value:z.{digits}f}"


def percent(value: float, digits: int = 0) -> str:
    """Return a share in percent; a dash where it is none."""
    return "–" if math.isnan(value) else f"{value:.{digits}%}"


def chance(value: float) -> str:
    """Return a p-value."""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def exact(value: float) -> str:
    """Return a number as the JSON of `goalmaze eval` gives it; nothing where it is none."""
    return "" if math.isnan(value) else f"{round(value, 4)}"


def command(*words: object) -> str:
    """Return a command of this package as one types it."""
    return shlex.join(["goalmaze", *map(str, words)])


def _settings(config: ReportConfig) -> list[object]:
    """Return the flags that say on which levels and how agents are judged."""
    size: list[object] = [] if config.size is None else ["--size", config.size]
    return ["--levels", config.levels, "--seed", config.seed, *size, *(["--greedy"] if config.greedy else [])]


def command_line(config: ReportConfig) -> str:
    """Return the command that makes the page."""
    dials = ["--dials", *config.dials] if config.dials else []
    return command("report", *config.agents, "--out", config.out, *_settings(config), *dials)


def grid_command(config: ReportConfig, found: FamilyFindings) -> str:
    """Return the command that prints the numbers of the grid."""
    question: EvalConfig = asked(config, [one.agent for one in found.agents])
    return command("eval", *question.agents, "--grid", *_settings(config), "--dials", *question.dials)


def versions() -> dict[str, str]:
    """Return the versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            raise GoalmazeError(f"{package} is not installed: pip install {package}") from None
    return found
