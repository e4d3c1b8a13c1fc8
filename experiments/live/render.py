"""`goalmaze render`: an episode of a scene as a file, a self-contained HTML replay, GIF, MP4 or PNG."""

from __future__ import annotations

import dataclasses
import io
import textwrap
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from goalmaze.agents.files import write_atomically
from goalmaze.agents.loading import Agent
from goalmaze.envs import look
from goalmaze.envs.actions import MOVES
from goalmaze.envs.cells import Bools
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.rendering import Picture, draw_scene, scene_data
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.live.agent_store import AgentStore
from goalmaze.experiments.live.config import RenderConfig
from goalmaze.experiments.live.inspection import Floats, Inspection, inspect_agent, policy_change
from goalmaze.experiments.live.page_data import edit_description, frame_data
from goalmaze.experiments.live.scene import NOWHERE, OVER, WALKING, AgentEpisode, Scene
from goalmaze.experiments.live.settings import Settings, settings_of
from goalmaze.experiments.page.appearance import appearance
from goalmaze.experiments.page.files import LOOK, page_file

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

FORMATS = {"html": "text/html", "gif": "image/gif", "mp4": "video/mp4", "png": "image/png"}
"""The file formats by their extension, with their MIME types."""

FRAMES_PER_SECOND = 6
LAST_FRAMES = 8
"""Repetitions of the last frame, because films repeat and the end would pass too quickly."""

BOARD_PIXELS = 416
HEADING, MARGIN = 56, 16
PAPER, INK, MUTED = look.PAGE["card"].light, look.PAGE["ink"].light, look.PAGE["muted"].light
STRONG_CHANGE = 0.2
"""Where the edit changes the policy by more, in total variation, the arrow has the colour of changed ones."""

OUTCOMES = {WALKING: "not finished", NOWHERE: "ran out of time", OVER: "episode over"}


@dataclasses.dataclass(frozen=True)
class RenderReport(Result):
    """The file that was written, and how the episode ended.

    Attributes:
        file: its path.
        bytes: its length.
        outcomes: what each agent reached first, by agent.
    """

    file: str
    bytes: int
    outcomes: dict[str, str]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return dataclasses.asdict(self)

    def blocks(self) -> list[str | Table]:
        """Return one line."""
        outcomes = ", ".join(f"{name}: {outcome}" for name, outcome in self.outcomes.items())
        return [f"wrote {self.file} ({self.bytes:,} bytes); {outcomes}"]


def run(config: RenderConfig) -> RenderReport:
    """Play one episode and write it to a file.

    Raises:
        GoalmazeError: no such agent, shift, site or method, the file's extension is unknown, or it cannot be written.
    """
    extension = config.out.suffix.removeprefix(".").lower()
    if extension not in FORMATS:
        raise unknown("file format", extension, FORMATS)
    if not config.out.parent.is_dir():
        raise GoalmazeError(f"there is no folder {config.out.parent} to write into; make it first")
    settings = settings_of(config)
    store = AgentStore(config.agent, device=config.device)
    data = render_episode(store, settings, extension)
    write_atomically(config.out, data)
    scene = store.scene(store.complete(settings))
    while not scene.finished:
        scene.step()
    outcomes = {name: episode.outcome for name, episode in scene.episodes.items()}
    return RenderReport(str(config.out), len(data), outcomes)


def render_episode(store: AgentStore, settings: Settings, extension: str, agent: Agent | None = None) -> bytes:
    """Return the whole episode of a scene in one of `FORMATS`; a PNG shows its last frame.

    Args:
        store: the agents and the edits fitted for them.
        settings: of the scene.
        extension: one of `FORMATS`.
        agent: the copy of the agent that acts, where another thread uses the one of the store.

    Raises:
        GoalmazeError: the scene is invalid, or the package that writes the file is not installed.
    """
    scene = store.scene(store.complete(settings))
    # The scene was made with the store's copy; restarting begins its episodes on the other one.
    if agent is not None:
        scene.agent = agent
        scene.other = None if scene.other is None else store.copy_of(settings.other)
        scene.restart()
    if extension == "html":
        return _replay(scene).encode()
    frames = [_frame(scene)]
    while not scene.finished:
        scene.step()
        frames.append(_frame(scene))
    if extension == "png":
        return _png(frames[-1])
    return _film(frames + frames[-1:] * LAST_FRAMES, extension)


def _inspections(scene: Scene) -> dict[str, Inspection]:
    return {
        name: inspect_agent(scene, episode, None, scene.edits if name == "edited" else [], None)
        for name, episode in scene.episodes.items()
    }


def _replay(scene: Scene) -> str:
    """Return a page that needs no server and no network: the first frame, and what changes from it in the others."""
    frames = [frame_data(scene, _inspections(scene))]
    while not scene.finished:
        scene.step()
        frames.append(frame_data(scene, _inspections(scene)))
    first, differences = frames[0], [_difference(frames[0], frame) for frame in frames]
    data = {"first": first, "frames": differences, "appearance": appearance(scene.family)}
    html, colours, style, draw, script = map(page_file, ("replay.html", LOOK, "style.css", "draw.js", "replay.js"))
    # "<" is escaped, so that no text in the data can end the script element.
    text = msgspec.json.encode(data).decode().replace("<", "\\u003c")
    return (
        html.replace("/*STYLE*/", colours + style).replace("/*SCRIPT*/", draw + "\n" + script).replace("/*DATA*/", text)
    )


def _difference(first: JsonObject, frame: JsonObject) -> JsonObject:
    sides = {
        name: {key: value for key, value in side.items() if value != first["sides"][name][key]}
        for name, side in frame["sides"].items()
    }
    rest = {key: value for key, value in frame.items() if key != "sides" and value != first[key]}
    return {**rest, "sides": sides}


def _frame(scene: Scene) -> Picture:
    """Return uint8 [h, w, 3], the mazes of both agents side by side with their names, outcomes and the edit."""
    from PIL import Image, ImageDraw, ImageFont

    pixels = max(8, BOARD_PIXELS // scene.level.width)
    inspections = _inspections(scene)
    unedited = inspections["unedited"]
    boards = {
        name: _board(scene, name, one, policy_change(unedited, one) > STRONG_CHANGE, pixels)
        for name, one in inspections.items()
    }
    side = scene.level.width * pixels
    width = MARGIN + len(boards) * (side + MARGIN)
    height = HEADING + side + MARGIN + 40
    # Video codecs need even sides.
    paper = Image.new("RGB", (width + width % 2, height + height % 2), PAPER)
    draw, font, small_font = ImageDraw.Draw(paper), ImageFont.load_default(18), ImageFont.load_default(13)
    for number, (name, board) in enumerate(boards.items()):
        left = MARGIN + number * (side + MARGIN)
        paper.paste(Image.fromarray(board), (left, HEADING))
        draw.text((left, 10), name, INK, font)
        draw.text((left, 34), _progress(scene.episodes[name]), MUTED, small_font)
    for row, line in enumerate(textwrap.wrap(edit_description(scene), width // 7)[:2]):
        draw.text((MARGIN, HEADING + side + 6 + 17 * row), line, INK, small_font)
    return np.asarray(paper)


def _progress(episode: AgentEpisode) -> str:
    outcome = OUTCOMES.get(episode.outcome, f"reached the {episode.outcome}")
    return f"step {episode.steps}, {outcome}"


def _board(scene: Scene, name: str, inspection: Inspection, changed: Bools, pixels: int) -> Picture:
    """Return uint8 [h, w, 3], one agent's maze with the arrows of its policy; only the edited agent has a target.

    Args:
        scene: the scene.
        name: of the agent.
        inspection: of the agent.
        changed: bool [H*W], the cells whose arrow is drawn as a changed one.
        pixels: per cell.
    """
    from PIL import Image, ImageDraw

    episode = scene.episodes[name]
    level = episode.engine.present()
    target = scene.target if name == "edited" else -1
    data = scene_data(level, 0, episode.cell, target, episode.trail[:-1], episode.steps)
    board = Image.fromarray(draw_scene(data, pixels))
    draw = ImageDraw.Draw(board)
    for cell, probabilities in enumerate(inspection.probabilities):
        if cell not in (episode.cell, data["target"]) and probabilities.any():
            colour = look.CHANGED_ARROW if changed[cell] else look.ARROW
            _arrow(draw, cell, level.width, pixels, probabilities, colour)
    return np.asarray(board)


def _arrow(draw: ImageDraw, cell: int, width: int, pixels: int, probabilities: Floats, colour: tuple[int, ...]) -> None:
    """Draw the mean move of probabilities float32 [4] in a cell; `width` is that of the maze."""
    down, right = (float(sum(p * move for p, move in zip(probabilities, moves, strict=True))) for moves in MOVES.T)
    length = float(np.hypot(right, down))
    # An arrow shorter than a pixel is noise.
    if length < 0.05:
        return
    row, column = divmod(cell, width)
    x, y, reach = (column + 0.5) * pixels, (row + 0.5) * pixels, 0.34 * pixels
    tip = (x + right * reach, y + down * reach)
    draw.line([(x - right * reach, y - down * reach), tip], colour, max(1, pixels // 14))
    # the two sides of the head: the arrow turned by about 150 degrees to either side
    for turn in (2.6, -2.6):
        c, s = np.cos(turn), np.sin(turn)
        end = (tip[0] + 0.5 * reach * (right * c - down * s), tip[1] + 0.5 * reach * (right * s + down * c))
        draw.line([tip, end], colour, max(1, pixels // 14))


def _png(frame: Picture) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def _film(frames: list[Picture], extension: str) -> bytes:
    try:
        import imageio.v3 as imageio
    except ImportError:
        raise GoalmazeError("films need imageio: pip install 'goalmaze[video]'") from None
    buffer = io.BytesIO()
    if extension == "gif":
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
