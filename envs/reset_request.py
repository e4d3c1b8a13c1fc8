"""What a reset is asked for: options and seeds, with all that is not supported refused by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from goalmaze.envs.cells import Bools
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.gymnasium_types import Info

LEVELS, RESET_MASK = "levels", "reset_mask"


def check_options(options: Info | None, known: str) -> Info:
    """Return the options of a reset, {} where there are none.

    Raises:
        GoalmazeError: there is another option than the `known` one.
    """
    for name in options or {}:
        if name != known:
            raise unknown("option of reset", str(name), [known])
    return options or {}


def check_mask(mask: object, num_envs: int) -> Bools:
    """Return a reset mask as bool [B].

    Raises:
        GoalmazeError: it has another shape or type.
    """
    given = np.asarray(mask)
    if given.shape != (num_envs,):
        raise GoalmazeError(f"reset_mask has shape {given.shape}; it needs ({num_envs},)")
    if given.dtype != np.bool_:
        raise GoalmazeError(f"reset_mask has type {given.dtype}; it needs bool")
    return given


def one_seed(seed: int | Sequence[int | None] | None, num_envs: int) -> int | None:
    """Return the level seed of a vector environment.

    Levels are addressed by one seed, environment and episode. To Gymnasium, a seed s means s, s + 1, s + 2 and so on in
    the environments. That list is therefore accepted like s itself, and any other list is refused.

    Raises:
        GoalmazeError: the list gives environments seeds of their own, or holds fewer or more than there are.
    """
    if not isinstance(seed, Sequence):
        return seed
    first = seed[0] if seed else None
    # Gymnasium itself refuses a first seed that is no integer.
    following = [first + e if isinstance(first, int) else None for e in range(1, num_envs)]
    if list(seed) != [first, *following]:
        raise GoalmazeError(
            f"a list of {len(seed)} seeds for {num_envs} environments: give one integer, since the levels of all "
            "environments follow from one seed (or the list s, s + 1, s + 2, …, which means the same)"
        )
    return first
