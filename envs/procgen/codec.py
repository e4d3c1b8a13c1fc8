"""Codec of Procgen's maze states: bytes to data and back, without the loss of a bit.

A state is native-endian: int32, float32, and strings as a length and ASCII. Sections of plain numbers are read in the
order in which their dataclass lists them.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.errors import GoalmazeError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MAZE = "maze"
VERSION, END = 0, 0xCAFECAFE
GOAL, WALL, SPACE = 2, 51, 100
"""Values of a square of the grid."""

MOUSE = 0
"""Index of the agent among the entities."""

MAX_TEXT_LENGTH, MAX_ENTITIES, MAX_WORLD = 2**16, 2**12, 2**8


@dataclasses.dataclass(frozen=True)
class Options:
    """The options that the environment was made with."""

    paint_vel_info: int
    use_generated_assets: int
    use_monochrome_assets: int
    restrict_themes: int
    use_backgrounds: int
    center_agent: int
    debug_mode: int
    distribution_mode: int
    use_sequential_levels: int


@dataclasses.dataclass(frozen=True)
class Game:
    """Which game is played, and the range from which level seeds are drawn."""

    use_easy_jump: int
    plain_assets: int
    physics_mode: int
    grid_step: int
    level_seed_low: int
    level_seed_high: int
    game_type: int
    game_n: int


@dataclasses.dataclass(frozen=True)
class Generator:
    """A random generator: whether it was seeded, and its state in words."""

    is_seeded: int
    words: str


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of the episode."""

    reward: float
    done: int
    level_complete: int
    action: int
    timeout: int
    current_level_seed: int
    prev_level_seed: int
    episodes_remaining: int
    episode_done: int
    last_reward_timer: int
    last_reward: float
    default_action: int
    fixed_asset_seed: int
    cur_time: int
    is_waiting_for_step: int


@dataclasses.dataclass(frozen=True)
class Entity:
    """An entity outside of the grid; the mouse is the first. (x, y) is (column + 0.5, row from below + 0.5)."""

    x: float
    y: float
    vx: float
    vy: float
    rx: float
    ry: float
    type: int
    image_type: int
    image_theme: int
    render_z: int
    will_erase: int
    collides_with_entities: int
    collision_margin: float
    rotation: float
    vrot: float
    is_reflected: int
    fire_time: int
    spawn_time: int
    life_time: int
    expire_time: int
    use_abs_coords: int
    friction: float
    smart_step: int
    avoids_collisions: int
    auto_erase: int
    alpha: float
    health: float
    theta: float
    grow_rate: float
    alpha_decay: float
    climber_spawn_x: float


@dataclasses.dataclass(frozen=True)
class Motion:
    """The background, and how the agent moves."""

    use_procgen_background: int
    background_index: int
    bg_tile_ratio: float
    bg_pct_x: float
    char_dim: float
    last_move_action: int
    move_action: int
    special_action: int
    mixrate: float
    maxspeed: float
    max_jump: float
    action_vx: float
    action_vy: float
    action_vrot: float
    center_x: float
    center_y: float
    random_agent_start: int
    has_useful_vel_info: int
    step_rand_int: int


@dataclasses.dataclass(frozen=True)
class Window:
    """The part of the world that the frame shows."""

    main_width: int
    main_height: int
    out_of_bounds_object: int
    unit: float
    view_dim: float
    x_off: float
    y_off: float
    visibility: float
    min_visibility: float


@dataclasses.dataclass(frozen=True, eq=False)
class MazeState:
    """The complete state of a maze and of the episode in it.

    Attributes:
        options: of the environment.
        game: which game this is, and its range of level seeds.
        seed_generator: what level seeds are drawn from.
        level_generator: what the level and the steps draw from.
        progress: of the episode.
        grid_size: squares of the grid.
        entities: the mouse, and nothing else in a maze.
        motion: background and movement.
        asset_generator: what generated pictures draw from.
        window: the part of the world that the frame shows.
        grid: int32 [world, world], row 0 at the top (in the bytes it is at the bottom).
        maze_dim: rows and columns of the maze, without the walls around it.
        world_dim: rows and columns of the world in whose middle it lies.
    """

    options: Options
    game: Game
    seed_generator: Generator
    level_generator: Generator
    progress: Progress
    grid_size: int
    entities: tuple[Entity, ...]
    motion: Motion
    asset_generator: Generator
    window: Window
    grid: NDArray[np.int32]
    maze_dim: int
    world_dim: int

    @property
    def mouse(self) -> tuple[int, int]:
        """The row (0 at the top) and column where the mouse is."""
        mouse = self.entities[MOUSE]
        return self.world_dim - 1 - int(mouse.y), int(mouse.x)


Section = TypeVar("Section", Options, Game, Progress, Entity, Motion, Window)


def parse(state: bytes) -> MazeState:
    """Return the state that bytes hold.

    Raises:
        GoalmazeError: the bytes are no state of Procgen's maze; the message names the first wrong byte.
    """
    reader = _Reader(state)
    reader.expect(VERSION, "version")
    name = reader.text()
    if name != MAZE:
        raise GoalmazeError(f"the state is of the game '{name[:20]}', not of '{MAZE}': make it with env_name='{MAZE}'")
    found = MazeState(
        options=reader.section(Options),
        game=reader.section(Game),
        seed_generator=reader.generator(),
        level_generator=reader.generator(),
        progress=reader.section(Progress),
        grid_size=reader.integer(),
        entities=tuple(reader.section(Entity) for _ in range(reader.count(MAX_ENTITIES, "entities"))),
        motion=reader.section(Motion),
        asset_generator=reader.generator(),
        window=reader.section(Window),
        grid=reader.grid(),
        maze_dim=reader.integer(),
        world_dim=reader.integer(),
    )
    # Procgen writes the mark as an unsigned number; read as int32 it is negative.
    reader.expect(END - 2**32, "end mark")
    reader.finish()
    if found.grid.shape != (found.world_dim, found.world_dim) or not found.entities:
        raise GoalmazeError(
            f"the state has a grid {found.grid.shape} in a world of {found.world_dim} and {len(found.entities)} "
            "entities: a maze has a square grid and a mouse"
        )
    return found


def pack(state: MazeState) -> bytes:
    """Return the bytes that `parse` reads back to an equal state."""
    # In the bytes, row 0 is at the bottom.
    grid = np.ascontiguousarray(state.grid[::-1], np.int32)
    parts = [
        _integers(VERSION),
        _text(MAZE),
        _section(state.options),
        _section(state.game),
        _generator(state.seed_generator),
        _generator(state.level_generator),
        _section(state.progress),
        _integers(state.grid_size, len(state.entities)),
        *(_section(entity) for entity in state.entities),
        _section(state.motion),
        _generator(state.asset_generator),
        _section(state.window),
        _integers(grid.shape[1], grid.shape[0], grid.size),
        grid.tobytes(),
        _integers(state.maze_dim, state.world_dim, END - 2**32),
    ]
    return b"".join(parts)


def _layout(section: type[DataclassInstance]) -> struct.Struct:
    """Return the layout of a section: its numbers in order, without padding."""
    # Annotations are strings here, by the future import at the top of this file.
    return struct.Struct("=" + "".join("f" if field.type == "float" else "i" for field in dataclasses.fields(section)))


SECTIONS: tuple[type[DataclassInstance], ...] = (Options, Game, Progress, Entity, Motion, Window)
LAYOUTS = {section: _layout(section) for section in SECTIONS}


def _section(section: Section) -> bytes:
    return LAYOUTS[type(section)].pack(*(getattr(section, field.name) for field in dataclasses.fields(section)))


def _integers(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}i", *numbers)


def _text(text: str) -> bytes:
    return _integers(len(text)) + text.encode("ascii")


def _generator(generator: Generator) -> bytes:
    return _integers(generator.is_seeded) + _text(generator.words)


class _Reader:
    """Reads a state from its first byte to its last."""

    def __init__(self, state: bytes) -> None:
        self._state, self._at = state, 0

    def section(self, kind: type[Section]) -> Section:
        numbers = LAYOUTS[kind]
        return kind(*numbers.unpack(self._take(numbers.size, kind.__name__.lower())))

    def integer(self) -> int:
        (number,) = struct.unpack("=i", self._take(4, "number"))
        return int(number)

    def count(self, most: int, what: str) -> int:
        # Counts are checked before anything is allocated: a state may come from anyone.
        number = self.integer()
        if not 0 <= number <= most:
            raise GoalmazeError(f"the state names {number} {what} before byte {self._at}: it is damaged, take another")
        return number

    def text(self) -> str:
        characters = self._take(self.count(MAX_TEXT_LENGTH, "characters"), "text")
        if not characters.isascii():
            raise GoalmazeError(f"the state has no text before byte {self._at}: it is damaged, take another")
        return characters.decode("ascii")

    def generator(self) -> Generator:
        return Generator(self.integer(), self.text())

    def grid(self) -> NDArray[np.int32]:
        width, height = self.count(MAX_WORLD, "columns"), self.count(MAX_WORLD, "rows")
        squares = self.integer()
        if squares != width * height:
            raise GoalmazeError(f"the state has {squares} squares in a grid of {height} x {width}: take another")
        flat = np.frombuffer(self._take(4 * squares, "grid"), np.int32)
        return flat.reshape(height, width)[::-1]

    def expect(self, number: int, what: str) -> None:
        found = self.integer()
        if found != number:
            raise GoalmazeError(f"the state's {what} is {found}, not {number}: take one of procgen-mirror 0.10")

    def finish(self) -> None:
        if self._at != len(self._state):
            raise GoalmazeError(f"the state goes on after its end mark at byte {self._at}: take another")

    def _take(self, count: int, what: str) -> bytes:
        part = self._state[self._at : self._at + count]
        if len(part) != count:
            raise GoalmazeError(f"the state ends within its {what} at byte {len(self._state)}: give the whole of it")
        self._at += count
        return part
