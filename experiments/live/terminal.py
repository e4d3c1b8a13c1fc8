"""A scene in the terminal: both mazes side by side in ANSI colours, controlled by single keys."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import shutil
import sys
from collections.abc import Iterator

from goalmaze.envs import look
from goalmaze.envs.actions import ANSI_KEYS, LETTER_KEYS, MOVES
from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.objects import ObjectType
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.config import LiveConfig
from goalmaze.experiments.live.scene import AgentEpisode, Scene, edit_refusal
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
"""Shapes as one character; an object type of another shape is drawn as its letter."""

ARROWS = dict(zip(ANSI_KEYS, LETTER_KEYS, strict=True))
TARGET_MOVES = dict(zip(LETTER_KEYS, MOVES.tolist(), strict=True))
HELP = "arrows move target · space step · p play/pause · n next · r restart · q quit"

Colour = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class LiveReport(Result):
    """What each agent reached first, over the episodes that both agents finished.

    Attributes:
        agent: its name.
        site: the edited site.
        method: the steering method.
        tally: counts of outcomes by agent.
    """

    agent: str
    site: str
    method: str
    tally: dict[str, dict[str, int]]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {"agent": self.agent, "site": self.site, "method": self.method, "outcomes": self.tally}

    def blocks(self) -> list[str | Table]:
        """Return a table of the outcomes."""
        outcomes = sorted({outcome for counts in self.tally.values() for outcome in counts})
        if not outcomes:
            return ["no episode was finished"]
        rows = [[name, *(counts.get(one, 0) for one in outcomes)] for name, counts in self.tally.items()]
        return [Table(["reached first", *outcomes], rows)]


def run(config: LiveConfig) -> LiveReport:
    """Show a scene until q is pressed; with --summary, play one level without drawing it.

    Raises:
        GoalmazeError: no such agent, shift, site or method; or there is no terminal to draw in.
    """
    if not config.summary and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise GoalmazeError(
            "--terminal needs a terminal, and there is none; leave it out, or add --summary to play one level"
        )
    store = AgentStore(config.agent, config.runs, config.device)
    settings = store.complete(settings_of(config))
    scene = store.scene(settings)
    if config.summary:
        while not scene.finished:
            scene.step()
    else:
        edited = "not edited" if scene.fitted_edit is None else f"edited at {settings.site} by {settings.method}"
        control(scene, f"{settings.agent} {edited}")
    return LiveReport(settings.agent, settings.site, settings.method, scene.tally)


def control(scene: Scene, title: str) -> None:
    """Draw the scene and handle keys until q is pressed."""
    playing = False
    with _raw_terminal():
        while True:
            size = shutil.get_terminal_size()
            print("\x1b[H\x1b[J" + draw(scene, title, playing, size.columns).replace("\n", "\r\n"), end="", flush=True)
            key = _read_key(SECONDS_PER_STEP if playing and not scene.finished else None)
            if key in ("q", "\x03", "\x04"):
                return
            playing = handle_key(scene, key, playing)


def handle_key(scene: Scene, key: str | None, playing: bool) -> bool:
    """Handle a key, None where time passed without one; return whether the scene goes on by itself."""
    if key is None or key == " ":
        scene.step()
        return playing and key is None
    if key == "p":
        return not playing
    if key == "n":
        scene.show_level(scene.index + 1)
    elif key == "r":
        scene.restart()
    elif key in TARGET_MOVES:
        scene.move_target(*TARGET_MOVES[key])
    return playing


def draw(scene: Scene, title: str, playing: bool, columns: int) -> str:
    """Return the whole screen as text with ANSI colours, at most `columns` wide.

    Raises:
        GoalmazeError: the terminal is too narrow for the mazes.
    """
    width, episodes = scene.level.width, scene.episodes
    needed = len(episodes) * width + len(GAP) * (len(episodes) - 1)
    if needed > columns:
        raise GoalmazeError(f"the terminal has {columns} columns; {len(episodes)} mazes of size {width} need {needed}")
    # Characters are about twice as high as wide, so two make a square, where the terminal is wide enough.
    cell_width = 2 if needed + len(episodes) * width <= columns else 1
    boards = [_board(scene, episode, cell_width, target=name == "edited") for name, episode in episodes.items()]
    tally = "; ".join(
        f"{name}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items()) or '-'}"
        for name, counts in scene.tally.items()
    )
    refusal = edit_refusal(scene.family)
    return "\n".join(
        [
            title[:columns],
            f"level {'drawn by hand' if scene.drawn else scene.index} ({'playing' if playing else 'paused'})",
            "",
            GAP.join(name.ljust(width * cell_width) for name in episodes),
            *(GAP.join(parts) for parts in zip(*boards, strict=True)),
            GAP.join(episode.outcome.ljust(width * cell_width) for episode in episodes.values()),
            "",
            *([] if refusal is None else [refusal[:columns]]),
            _legend(scene),
            f"outcomes  {tally}",
            HELP[:columns],
        ]
    )


def _legend(scene: Scene) -> str:
    """Return the glyphs of the agent, the objects in the level, and the target, with their names."""
    present = scene.level.present()
    entries = [_paint("●", look.AGENT) + " agent"]
    entries += [
        _paint(_glyph(one), one.colour) + f" {one.name}" for one in scene.family.object_types if one.name in present
    ]
    if scene.fitted_edit is not None:
        entries.append(_paint("◎", look.TARGET) + " target of the edit")
    return "  ".join(entries)


def _board(scene: Scene, episode: AgentEpisode, cell_width: int, *, target: bool) -> list[str]:
    """Return one maze as lines of coloured text."""
    level = episode.engine.present()
    glyphs: dict[int, tuple[str, Colour]] = dict.fromkeys(episode.trail, (GLYPHS["dot"], look.TRAIL))
    object_types = {one.name: one for one in scene.family.object_types}
    for name, cell in zip(level.slots, level.objects[0].tolist(), strict=True):
        if cell == ABSENT:
            continue
        # Of two objects on one cell, both are drawn where a cell has two columns.
        below = glyphs[cell][0] if cell in glyphs and cell not in episode.trail and cell_width > 1 else ""
        glyphs[cell] = (below + _glyph(object_types[name]), object_types[name].colour)
    if target:
        glyphs[scene.target] = (GLYPHS["ring"], look.TARGET)
    glyphs[episode.cell] = (GLYPHS["disc"], look.AGENT)
    lines = []
    for row in range(level.height):
        line = ""
        for column in range(level.width):
            glyph, colour = glyphs.get(row * level.width + column, (" ", look.FLOOR))
            background = look.WALL if level.walls[0, row, column] else look.FLOOR
            line += _paint(glyph.ljust(cell_width), colour, background)
        lines.append(line)
    return lines


def _glyph(object_type: ObjectType) -> str:
    return GLYPHS.get(object_type.shape, object_type.letter)


def _paint(text: str, colour: Colour, background: Colour | None = None) -> str:
    behind = "" if background is None else f"\x1b[48;2;{background[0]};{background[1]};{background[2]}m"
    return f"{behind}\x1b[1;38;2;{colour[0]};{colour[1]};{colour[2]}m{text}\x1b[0m"


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Read single keys on the alternate screen inside the context; the terminal is restored at its end."""
    try:
        import termios
        import tty
    except ImportError:
        raise GoalmazeError("the terminal view needs a POSIX terminal; on Windows use WSL") from None
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        # The alternate screen, without a cursor: at the end, the terminal shows again what it showed before.
        print("\x1b[?1049h\x1b[?25l", end="", flush=True)
        yield
    finally:
        print("\x1b[?25h\x1b[?1049l", end="", flush=True)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _read_key(timeout: float | None) -> str | None:
    """Return the next key, arrows as h j k l, or None where there was none within `timeout` seconds."""
    keyboard = sys.stdin.fileno()
    if not select.select([keyboard], [], [], timeout)[0]:
        return None
    key = os.read(keyboard, 1).decode(errors="replace")
    # An arrow key sends escape and two more bytes at once; the escape key sends nothing more.
    if key == "\x1b" and select.select([keyboard], [], [], 0.02)[0]:
        return ARROWS.get(os.read(keyboard, 2).decode(errors="replace"), "")
    # No byte means that the input was closed; waiting for more would never end.
    return key or "q"
