"""An episode of a scene as a file: one self-contained HTML replay, GIF, MP4 or PNG."""

from __future__ import annotations

import dataclasses
import importlib.resources
import io
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from goalmaze.envs.cells import Bools
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.rendering import WALL_COLOUR, Picture, draw_scene, scene_data
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.config import RenderConfig
from goalmaze.experiments.live.inspection import Inspection, change, look
from goalmaze.experiments.live.scene import NOWHERE, OVER, WALKING, Scene
from goalmaze.experiments.live.session import looks, picture, sentence
from goalmaze.experiments.live.settings import Settings, settings_of

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

FORMATS = {"html": "text/html", "gif": "image/gif", "mp4": "video/mp4", "png": "image/png"}
"""What an episode can be written as, and what a browser calls it."""

FRAMES_PER_SECOND = 6
LAST_FRAMES = 8
"""How often the last frame is shown, so that the end can be seen before it begins anew."""

BOARD_PIXELS = 416
HEADING, MARGIN = 56, 16
PAPER, INK, MUTED, EDITED = (255, 255, 255), (28, 32, 38), (96, 104, 116), (163, 48, 110)
MUCH = 0.2
"""An arrow that the edit changes by more, in total variation, is drawn in `EDITED`, as on the page."""

ENDS = {WALKING: "on its way", NOWHERE: "got nowhere", OVER: "episode over"}
WAYS = ((0, -1), (1, 0), (0, 1), (-1, 0))
"""Right and down of each action."""


@dataclasses.dataclass(frozen=True)
class RenderReport:
    """What was written, and how the episode ended."""

    file: str
    bytes: int
    outcomes: dict[str, str]

    def json(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return dataclasses.asdict(self)

    def text(self) -> str:
        """Return one line."""
        ends = ", ".join(f"{who}: {end}" for who, end in self.outcomes.items())
        return f"wrote {self.file} ({self.bytes:,} bytes); {ends}"


def run(config: RenderConfig) -> RenderReport:
    """Play one episode and write it to a file.

    Raises:
        GoalmazeError: no such agent, shift, site or method, the file's ending is unknown, or it cannot be written.
    """
    form = config.out.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise unknown("kind of file", form, FORMATS)
    if not config.out.parent.is_dir():
        raise GoalmazeError(f"there is no folder {config.out.parent} to write into; make it first")
    settings = settings_of(config)
    desk = AgentStore(config.agent)
    data = rendered(desk, settings, form)
    try:
        config.out.write_bytes(data)
    except OSError as error:
        raise GoalmazeError(f"cannot write {config.out}: {error.strerror}") from None
    scene = desk.scene(desk.completed(settings))
    while not scene.finished:
        scene.step()
    return RenderReport(str(config.out), len(data), {name: walker.outcome for name, walker in scene.walkers.items()})


def rendered(desk: AgentStore, settings: Settings, form: str, studied: bool = False) -> bytes:
    """Return the whole episode of a scene, from its start, in one of `FORMATS`; a picture shows its end.

    Args:
        desk: where agents and patterns come from.
        settings: of the scene.
        form: one of `FORMATS`.
        studied: whether to play the copy of the agent that is studied, where the other one is busy acting.

    Raises:
        GoalmazeError: the scene cannot be, or what writes the file is not installed.
    """
    scene = desk.scene(desk.completed(settings))
    if studied:
        scene.agent = desk.agent(settings.agent, studied=True)
        scene.restart()
    if form == "html":
        return _replay(scene).encode()
    frames = [_frame(scene)]
    while not scene.finished:
        scene.step()
        frames.append(_frame(scene))
    if form == "png":
        return _png(frames[-1])
    return _film(frames + frames[-1:] * LAST_FRAMES, form)


def _minds(scene: Scene) -> dict[str, Inspection]:
    return {
        name: look(scene, walker, None, scene.edits if name == "edited" else [], None)
        for name, walker in scene.walkers.items()
    }


def _replay(scene: Scene) -> str:
    """Return a page that needs no server and no network: the first picture whole, then what changes from it."""
    frames = [picture(scene, _minds(scene))]
    while not scene.finished:
        scene.step()
        frames.append(picture(scene, _minds(scene)))
    first, slim = frames[0], [_difference(frames[0], frame) for frame in frames]
    text = msgspec.json.encode({"first": first, "frames": slim, "looks": looks(scene.family)}).decode()
    files = importlib.resources.files("goalmaze.experiments.live") / "page"
    html, style, draw, script = (
        (files / name).read_text("utf-8") for name in ("replay.html", "style.css", "draw.js", "replay.js")
    )
    return (
        html.replace("/*STYLE*/", style)
        .replace("/*SCRIPT*/", draw + "\n" + script)
        .replace("/*DATA*/", text.replace("<", "\\u003c"))
    )


def _difference(first: dict[str, Any], frame: dict[str, Any]) -> dict[str, Any]:
    sides = {
        name: {key: value for key, value in side.items() if value != first["sides"][name][key]}
        for name, side in frame["sides"].items()
    }
    rest = {key: value for key, value in frame.items() if key != "sides" and value != first[key]}
    return {**rest, "sides": sides}


def _frame(scene: Scene) -> Picture:
    """Return uint8 [h, w, 3], both agents side by side under a line that says what is what."""
    from PIL import Image, ImageDraw, ImageFont

    pixels = max(8, BOARD_PIXELS // scene.level.width)
    minds = _minds(scene)
    turned = {name: change(minds["unedited"], mind) > MUCH for name, mind in minds.items()}
    boards = [_board(scene, name, mind, turned[name], pixels) for name, mind in minds.items()]
    side = boards[0].shape[1]
    width = MARGIN + len(boards) * (side + MARGIN)
    height = HEADING + side + MARGIN + 40
    paper = Image.new("RGB", (width + width % 2, height + height % 2), PAPER)
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(18)
    small = ImageFont.load_default(13)
    for number, (name, board) in enumerate(zip(minds, boards, strict=True)):
        left = MARGIN + number * (side + MARGIN)
        paper.paste(Image.fromarray(board), (left, HEADING))
        draw.text((left, 10), name, INK, font)
        walker = scene.walkers[name]
        end = ENDS.get(walker.outcome, f"reached the {walker.outcome}")
        draw.text((left, 34), f"step {walker.steps}, {end}", MUTED, small)
    for row, line in enumerate(_lines(sentence(scene), width // 7)[:2]):
        draw.text((MARGIN, HEADING + side + 6 + 17 * row), line, INK, small)
    return np.asarray(paper)


def _lines(text: str, letters: int) -> list[str]:
    import textwrap

    return textwrap.wrap(text, letters)


def _board(scene: Scene, name: str, mind: Inspection, turned: Bools, pixels: int) -> Picture:
    """Return uint8 [h, w, 3], one agent's maze with its arrows; the target stands where the agent is sent there.

    Args:
        scene: the scene.
        name: of the agent.
        mind: its inside.
        turned: bool [H*W], the cells whose arrow is drawn in `EDITED`.
        pixels: per cell.
    """
    from PIL import Image, ImageDraw

    walker = scene.walkers[name]
    level = walker.episodes.present()
    target = scene.target if name == "edited" else -1
    data = scene_data(level, 0, walker.cell, target, walker.trail[:-1])
    board = Image.fromarray(draw_scene(data, pixels))
    draw = ImageDraw.Draw(board)
    for cell, chances in enumerate(mind.chances):
        if cell not in (walker.cell, data["target"]) and chances.any():
            _arrow(draw, cell, level.width, pixels, chances, EDITED if turned[cell] else WALL_COLOUR)
    return np.asarray(board)


def _arrow(draw: ImageDraw, cell: int, width: int, pixels: int, chances: Any, colour: tuple[int, ...]) -> None:
    right, down = (float(sum(p * way[axis] for p, way in zip(chances, WAYS, strict=True))) for axis in (0, 1))
    length = float(np.hypot(right, down))
    if length < 0.05:
        return
    row, column = divmod(cell, width)
    x, y, reach = (column + 0.5) * pixels, (row + 0.5) * pixels, 0.34 * pixels
    tip = (x + right * reach, y + down * reach)
    draw.line([(x - right * reach, y - down * reach), tip], colour, max(1, pixels // 14))
    for turn in (2.6, -2.6):
        c, s = np.cos(turn), np.sin(turn)
        barb = (tip[0] + 0.5 * reach * (right * c - down * s), tip[1] + 0.5 * reach * (right * s + down * c))
        draw.line([tip, barb], colour, max(1, pixels // 14))


def _png(frame: Picture) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def _film(frames: list[Picture], form: str) -> bytes:
    try:
        import imageio.v3 as imageio
    except ImportError:
        raise GoalmazeError("films need imageio: pip install 'goalmaze[video]'") from None
    buffer = io.BytesIO()
    if form == "gif":
        imageio.imwrite(
            buffer, np.stack(frames), extension=".gif", plugin="pillow", duration=1000 / FRAMES_PER_SECOND, loop=0
        )
        return buffer.getvalue()
    try:
        imageio.imwrite(
            buffer, np.stack(frames), extension=".mp4", plugin="pyav", codec="libx264", fps=FRAMES_PER_SECOND
        )
    except ImportError:
        raise GoalmazeError("MP4 needs PyAV: pip install 'goalmaze[video]'") from None
    return buffer.getvalue()
