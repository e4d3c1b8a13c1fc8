"""The scene in a terminal: two mazes side by side, drawn with ANSI colours, driven by single keys."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.objects import ObjectType
from goalmaze.envs.rendering import AGENT_COLOUR, FLOOR_COLOUR, TARGET_COLOUR, TRAIL_COLOUR, WALL_COLOUR
from goalmaze.experiments.common.tables import table
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.config import LiveConfig
from goalmaze.experiments.live.scene import AgentEpisode, Scene, why_not_edited
from goalmaze.experiments.live.settings import settings_of

SECONDS_PER_STEP = 0.25
GAP = "    "
GLYPHS = {
    "disc": "●",
    "diamond": "◆",
    "door": "∏",
    "ring": "◎",
    "dot": "·",
    "square": "■",
    "triangle": "▲",
    "star": "★",
}
"""Shapes as one character; a kind of another shape shows as its letter."""

ARROWS = {"[A": "k", "[B": "j", "[C": "l", "[D": "h"}
NUDGES = {"k": (-1, 0), "j": (1, 0), "l": (0, 1), "h": (0, -1)}
HELP = "arrows move target · space step · p play/pause · n next · r restart · q quit"

Colour = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class LiveReport:
    """What was watched: how the episodes that both agents finished ended, by agent and outcome."""

    agent: str
    site: str
    method: str
    tally: dict[str, dict[str, int]]

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {"agent": self.agent, "site": self.site, "method": self.method, "outcomes": self.tally}

    def text(self) -> str:
        """Return a table of the outcomes."""
        ends = sorted({end for counts in self.tally.values() for end in counts})
        if not ends:
            return "no episode was watched to its end"
        return table(["reached first", *ends], [[who, *(n.get(e, 0) for e in ends)] for who, n in self.tally.items()])


def run(config: LiveConfig) -> LiveReport:
    """Show a scene until the person quits; with --summary, play one level without showing it.

    Raises:
        GoalmazeError: no such agent, shift, site or method; or there is no terminal to draw in.
    """
    if not config.summary and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise GoalmazeError(
            "live draws in a terminal and there is none; leave --terminal out, or add --summary to play one level"
        )
    desk = AgentStore(config.agent, config.runs)
    settings = desk.completed(settings_of(config))
    scene = desk.scene(settings)
    if config.summary:
        while not scene.finished:
            scene.step()
    else:
        edited = "not edited" if scene.found is None else f"edited at {settings.site} by {settings.method}"
        watch(scene, f"{settings.agent} {edited}")
    return LiveReport(settings.agent, settings.site, settings.method, scene.tally)


def watch(scene: Scene, title: str) -> None:
    """Draw the scene and obey keys until q is pressed."""
    playing = False
    with _raw_terminal():
        while True:
            size = shutil.get_terminal_size()
            print("\x1b[H\x1b[J" + draw(scene, title, playing, size.columns).replace("\n", "\r\n"), end="", flush=True)
            key = _read_key(SECONDS_PER_STEP if playing and not scene.finished else None)
            if key in ("q", "\x03", "\x04"):
                return
            playing = press(scene, key, playing)


def press(scene: Scene, key: str | None, playing: bool) -> bool:
    """Do what a key asks, or step where time passed without one; return whether the scene plays on by itself."""
    if key is None or key == " ":
        scene.step()
        return playing and key is None
    if key == "p":
        return not playing
    if key == "n":
        scene.show(scene.index + 1)
    elif key == "r":
        scene.restart()
    elif key in NUDGES:
        scene.nudge_target(*NUDGES[key])
    return playing


def draw(scene: Scene, title: str, playing: bool, columns: int) -> str:
    """Return the whole screen as text with ANSI colours, at most `columns` wide.

    Raises:
        GoalmazeError: the terminal is too narrow for two mazes.
    """
    width, walkers = scene.level.width, scene.walkers
    least = len(walkers) * width + len(GAP) * (len(walkers) - 1)
    cell_width = 2 if least + len(walkers) * width <= columns else 1
    if least > columns:
        raise GoalmazeError(f"the terminal has {columns} columns; {len(walkers)} mazes of size {width} need {least}")
    boards = [_board(scene, walker, cell_width, target=name == "edited") for name, walker in walkers.items()]
    names = GAP.join(name.ljust(width * cell_width) for name in walkers)
    ends = GAP.join(walker.outcome.ljust(width * cell_width) for walker in walkers.values())
    present = scene.level.present()
    legend = "  ".join(
        [
            _paint("●", AGENT_COLOUR) + " agent",
            *(
                _paint(_glyph(kind), kind.colour) + f" {kind.name}"
                for kind in scene.family.object_types
                if kind.name in present
            ),
            *([] if scene.found is None else [_paint("◎", TARGET_COLOUR) + " target of the edit"]),
        ]
    )
    state = "playing" if playing else "paused"
    tally = "; ".join(
        f"{who}: {', '.join(f'{n} {end}' for end, n in ends.items()) or '-'}" for who, ends in scene.tally.items()
    )
    rows = [GAP.join(parts) for parts in zip(*boards, strict=True)]
    refusal = why_not_edited(scene.family)
    return "\n".join(
        [
            title[:columns],
            f"level {scene.index} ({state})",
            "",
            names,
            *rows,
            ends,
            "",
            *([] if refusal is None else [refusal[:columns]]),
            legend,
            f"so far  {tally}",
            HELP[:columns],
        ]
    )


def _board(scene: Scene, walker: AgentEpisode, cell_width: int, *, target: bool) -> list[str]:
    """Return one maze as lines of coloured text."""
    level = walker.episodes.present()
    marks: dict[int, tuple[str, Colour]] = dict.fromkeys(walker.trail, (GLYPHS["dot"], TRAIL_COLOUR))
    object_types = {kind.name: kind for kind in scene.family.object_types}
    for name, cell in zip(level.slots, level.objects[0].tolist(), strict=True):
        if cell == ABSENT:
            continue
        under = marks[cell][0] if cell in marks and cell not in walker.trail and cell_width > 1 else ""
        marks[cell] = (under + _glyph(object_types[name]), object_types[name].colour)
    if target:
        marks[scene.target] = (GLYPHS["ring"], TARGET_COLOUR)
    marks[walker.cell] = (GLYPHS["disc"], AGENT_COLOUR)
    lines = []
    for row in range(level.height):
        line = ""
        for column in range(level.width):
            glyph, colour = marks.get(row * level.width + column, (" ", FLOOR_COLOUR))
            ground = WALL_COLOUR if level.walls[0, row, column] else FLOOR_COLOUR
            line += _paint(glyph.ljust(cell_width), colour, ground)
        lines.append(line)
    return lines


def _glyph(kind: ObjectType) -> str:
    return GLYPHS.get(kind.shape, kind.letter)


def _paint(text: str, colour: Colour, ground: Colour | None = None) -> str:
    back = "" if ground is None else f"\x1b[48;2;{ground[0]};{ground[1]};{ground[2]}m"
    return f"{back}\x1b[1;38;2;{colour[0]};{colour[1]};{colour[2]}m{text}\x1b[0m"


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Take keys one at a time, on a screen of its own; give the terminal back whatever happens."""
    try:
        import termios
        import tty
    except ImportError:
        raise GoalmazeError("the terminal view needs a POSIX terminal; on Windows use WSL") from None
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        print("\x1b[?1049h\x1b[?25l", end="", flush=True)
        yield
    finally:
        print("\x1b[?25h\x1b[?1049l", end="", flush=True)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _read_key(timeout: float | None) -> str | None:
    """Return the next key, arrows as h j k l, or None if none came within `timeout` seconds."""
    keyboard = sys.stdin.fileno()
    if not select.select([keyboard], [], [], timeout)[0]:
        return None
    key = os.read(keyboard, 1).decode(errors="replace")
    if key == "\x1b" and select.select([keyboard], [], [], 0.02)[0]:
        return ARROWS.get(os.read(keyboard, 2).decode(errors="replace"), "")
    return key or "q"
