"""Lists of seeds, such as "0-63" or "0,3,7", and grids of parameters, such as "salience=1,2"."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.ranges import MAX_RUN_SEED
from goalmaze.envs.text_files import parse_json

MAX_AGENTS = 10_000
"""Largest number of agents; more is taken for a mistake."""

MAX_TEXT = 40
"""Longest list of seeds in the name of a folder, in characters."""


def seed_list(text: str) -> tuple[int, ...]:
    """Return the seeds of a list such as "0-63", "0,3,7" or "0-7,16".

    Raises:
        GoalmazeError: a part is no seed or range, a range is empty, or a seed is listed twice.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,12})\s*(?:-\s*([0-9]{1,12})\s*)?", part)
        if match is None:
            raise GoalmazeError(f"--seeds {text}: '{part.strip()}' is no seed; write 0-63, or 0,3,7, or 0-7,16")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise GoalmazeError(f"--seeds {text}: the range {part.strip()} is empty; write {last}-{first}")
        # Counted before the range is built, which could fill the memory.
        if len(seeds) + last - first + 1 > MAX_AGENTS:
            raise GoalmazeError(f"--seeds {text}: these are more than {MAX_AGENTS:,} agents")
        seeds += range(first, last + 1)
    return checked_seeds(seeds)


def checked_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Return seeds after checking them.

    Raises:
        GoalmazeError: there are none or too many, one is listed twice, or one is out of range.
    """
    checked: dict[int, None] = {}
    for seed in itertools.islice(seeds, MAX_AGENTS + 1):
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_RUN_SEED:
            raise GoalmazeError(f"seed {seed!r}: give whole numbers from 0 to {MAX_RUN_SEED:,}")
        if seed in checked:
            raise GoalmazeError(f"seed {seed} is listed twice; list each seed once")
        checked[seed] = None
    if not checked:
        raise GoalmazeError("there are no seeds; give one or more, such as 0-63")
    if len(checked) > MAX_AGENTS:
        raise GoalmazeError(f"these are more than {MAX_AGENTS:,} agents")
    return tuple(checked)


def seeds_text(seeds: Sequence[int]) -> str:
    """Return distinct seeds as a list that `seed_list` reads, with ranges for runs of three or more."""
    parts, start = [], 0
    for end in range(1, len(seeds) + 1):
        if end < len(seeds) and seeds[end] == seeds[end - 1] + 1:
            continue
        run = seeds[start:end]
        parts += [f"{run[0]}-{run[-1]}"] if len(run) > 2 else [str(seed) for seed in run]
        start = end
    return ",".join(parts)


def folder_text(seeds: Sequence[int]) -> str:
    """Return seeds for the name of a folder: the list, or the number of seeds where it is long."""
    text = seeds_text(seeds)
    return f"seeds{text}" if len(text) <= MAX_TEXT else f"{len(seeds)}seeds"


def grid_of(pairs: Iterable[str]) -> list[JsonObject]:
    """Return every combination of the values in pairs such as "salience=1,2"; one empty one where there are no pairs.

    Raises:
        GoalmazeError: a pair has no equals sign or no value, or a parameter or value is listed twice.
    """
    values: dict[str, list[object]] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key or not text:
            raise GoalmazeError(f"--grid {pair}: write it as PARAMETER=VALUE,VALUE")
        if key in values:
            raise GoalmazeError(f"--grid: parameter {key} is listed twice; list all of its values once")
        values[key] = _values(text)
        if any(one == other for one, other in itertools.combinations(values[key], 2)):
            raise GoalmazeError(f"--grid {pair}: a value is listed twice; list each value once")
    if math.prod(map(len, values.values())) > MAX_AGENTS:
        raise GoalmazeError(f"--grid: these are more than {MAX_AGENTS:,} agents")
    return [dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())]


def _values(text: str) -> list[object]:
    """Return values that are separated by commas; one that is not JSON is text."""
    try:
        listed = parse_json(f"[{text}]")
    except ValueError:
        return [_value(part) for part in text.split(",")]
    return list(listed)


def _value(text: str) -> object:
    try:
        return parse_json(text)
    except ValueError:
        return text
