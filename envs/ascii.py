"""Levels as text, written and read: ``#`` wall, ``.`` floor, ``A`` the agent, a letter for each object.

Objects on one cell share a letter that the family declares (in GreenExit ``E`` is the exit, ``S`` the sign and ``G``
the exit under its sign). Levels of a batch are separated by blank lines.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from goalmaze.envs.cells import ABSENT
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.jit.flood import UNREACHABLE
from goalmaze.envs.levels import Family, LevelBatch, concatenate
from goalmaze.envs.solving import distances, pick

WALL, FLOOR, AGENT_LETTER = "#", ".", "A"


def write_ascii(levels: LevelBatch) -> str:
    """Return the batch as text that `read_ascii` reads back to equal levels."""
    return "\n\n".join(_write_one(levels, b) for b in range(len(levels))) + "\n"


def write_scene(levels: LevelBatch, agent: int) -> str:
    """Return a level in the middle of an episode as text for people, which `read_ascii` may not read back.

    The agent hides what it stands on. Of objects that meet on a cell, and have no letter together, the one in the last
    slot shows, which is drawn last in pictures too.

    Args:
        levels: a batch of one, with its objects where they are now; items held are on the top wall.
        agent: the agent's cell.
    """
    letters = _letters_of_stacks(levels.family)
    picture = _walls(levels, 0)
    for cell, stack in _stacks(levels, 0).items():
        picture[cell] = letters.get(tuple(sorted(stack)), letters[stack[-1:]])
    picture[agent] = AGENT_LETTER
    return _text(picture, levels.width) + "\n"


def read_ascii(text: str, family: Family) -> LevelBatch:
    """Return the levels drawn in `text`.

    Raises:
        GoalmazeError: a picture is not rectangular, holds an unknown letter, has no agent or two, more objects of a
            type than the family has, an open border, or a goal that cannot be reached; the message names the
            level, line and column (lines are counted within the whole text, both from 1).
    """
    levels = [_read_one(lines, first, b, family) for b, (first, lines) in enumerate(_pictures(text))]
    if not levels:
        raise GoalmazeError("the text holds no level: draw one with # . A and the family's letters")
    return check_reachable(concatenate(levels))


def check_reachable(levels: LevelBatch) -> LevelBatch:
    """Return `levels` if they follow every rule (`LevelBatch.check`) and each goal can be reached from the start.

    Raises:
        GoalmazeError: naming the first level that breaks a rule.
    """
    family = levels.family
    levels.check()
    goals = levels.cells(family.goal)
    lost = (goals != ABSENT) & (pick(distances(levels, levels.start), goals) >= UNREACHABLE)
    if lost.any():
        raise GoalmazeError(f"level {int(lost.argmax())}: the agent cannot reach the {family.goal}; open a wall")
    return levels


def letters_of(family: Family) -> dict[str, tuple[str, ...]]:
    """Return each letter of this family's pictures, with the object types on that cell."""
    return {kind.letter: (kind.name,) for kind in family.object_types} | dict(family.stacked_glyphs)


def _write_one(levels: LevelBatch, b: int) -> str:
    letters = _letters_of_stacks(levels.family)
    picture = _walls(levels, b)
    picture[levels.start[b]] = AGENT_LETTER
    for cell, stack in _stacks(levels, b).items():
        object_types = tuple(sorted(stack))
        if object_types not in letters:
            raise GoalmazeError(
                f"level {b}: {levels.family.name} has no letter for {' + '.join(object_types)} on one cell; move one"
            )
        picture[cell] = letters[object_types]
    return _text(picture, levels.width)


def _letters_of_stacks(family: Family) -> dict[tuple[str, ...], str]:
    """Return the letter of each object type alone, and of each stack, in alphabetical order of its types."""
    return {tuple(sorted(object_types)): letter for letter, object_types in letters_of(family).items()}


def _walls(levels: LevelBatch, b: int) -> NDArray[np.str_]:
    """Return the characters [H*W] of level b without agent and objects."""
    return np.where(levels.walls[b], WALL, FLOOR).reshape(-1)


def _stacks(levels: LevelBatch, b: int) -> dict[int, tuple[str, ...]]:
    """Return cell → the types of the objects on it, in the order of their slots."""
    stacks: dict[int, tuple[str, ...]] = {}
    for kind, cell in zip(levels.slots, levels.objects[b].tolist(), strict=True):
        if cell != ABSENT:
            stacks[cell] = (*stacks.get(cell, ()), kind)
    return stacks


def _text(picture: NDArray[np.str_], width: int) -> str:
    return "\n".join("".join(row) for row in picture.reshape(-1, width))


def _pictures(text: str) -> list[tuple[int, list[str]]]:
    """Split text at blank lines into pictures, each with the number of its first line."""
    pictures: list[tuple[int, list[str]]] = []
    blank = True
    # Editors on Windows begin a file with a byte order mark.
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        line = line.strip()
        if line and blank:
            pictures.append((number, []))
        if line:
            pictures[-1][1].append(line)
        blank = not line
    return pictures


def _read_one(lines: list[str], first: int, b: int, family: Family) -> LevelBatch:
    width = len(lines[0])
    start = ABSENT
    objects = [ABSENT] * len(family.slots)
    letters = letters_of(family)
    for row, line in enumerate(lines):
        if len(line) != width:
            raise GoalmazeError(
                f"level {b}, line {first + row}: {len(line)} columns where the first line has {width}; "
                "make every line as long"
            )
        for column, letter in enumerate(line):
            where = f"level {b}, line {first + row}, column {column + 1}"
            cell = row * width + column
            if letter == AGENT_LETTER:
                if start != ABSENT:
                    raise GoalmazeError(f"{where}: a second agent; a level has one")
                start = cell
            elif letter in letters:
                for kind in letters[letter]:
                    _put(objects, kind, cell, family, where)
            elif letter not in (WALL, FLOOR):
                known = " ".join([WALL, FLOOR, AGENT_LETTER, *letters])
                raise GoalmazeError(f"{where}: '{letter}' means nothing in {family.name} (known: {known})")
            if letter != WALL and (row in (0, len(lines) - 1) or column in (0, width - 1)):
                raise GoalmazeError(f"{where}: the border is open; put a {WALL} there")
    if start == ABSENT:
        raise GoalmazeError(f"level {b}, line {first}: no agent; draw an {AGENT_LETTER} where it starts")
    walls = np.array([[letter == WALL for letter in line] for line in lines])
    return LevelBatch(walls[None], np.array([start]), np.array([objects]), family)


def _put(objects: list[int], kind: str, cell: int, family: Family, where: str) -> None:
    for k, name in enumerate(family.slots):
        if name == kind and objects[k] == ABSENT:
            objects[k] = cell
            return
    slots = family.slots.count(kind)
    raise GoalmazeError(f"{where}: more objects '{kind}' than the {slots} that {family.name} has; leave one out")
