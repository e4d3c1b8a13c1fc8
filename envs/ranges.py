"""Ranges of numbers that come from outside. Imports nothing heavy, since the command line needs it for its help."""

from __future__ import annotations

import math

from goalmaze.envs.errors import GoalmazeError

MIN_SIZE, MAX_SIZE = 5, 255
"""Fewest and most rows and columns of a maze, in cells."""

MAX_RUN_SEED = 2**32 - 2
"""Largest seed of a run or an evaluation: stable-baselines3 takes 32 bits, and some experiments use the next one."""

MAX_INTEGER = 2**62
"""Larger integers fit no array index, and sums of two fit no 64 bits."""


def check_number(name: str, value: object, low: float | None = None, high: float | None = None) -> None:
    """Refuse a number that is not finite or is outside a range; values of other types pass.

    Args:
        name: what the number is called in the error, such as "--levels".
        value: the number.
        low: its smallest value; None where there is no bound.
        high: its largest value; None where there is no bound.

    Raises:
        GoalmazeError: it is not finite, below `low`, or above `high`.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if isinstance(value, float) and not math.isfinite(value):
        raise GoalmazeError(f"{name} is {value}: choose a finite number")
    if (low is not None and value < low) or (high is not None and value > high) or abs(value) > MAX_INTEGER:
        raise GoalmazeError(f"{name} is {value}: choose {_range(low, high)}")


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return "a number nearer to 0" if high is None else f"{high} or less"
    return f"{low} or more" if high is None else f"{low} to {high}"
