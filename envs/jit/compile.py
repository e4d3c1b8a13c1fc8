"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile `function` to machine code at its first call and keep the code on disk for the next process."""
    options: dict[str, Any] = {"_nrt": True}
    return cast(Function, numba.njit(cache=True, nogil=True, **options)(function))


def inlined(function: Function) -> Function:
    """Compile `function`, which makes no arrays, into every function that calls it, without counting who holds arrays.

    To pass the two dozen arrays of a batch of episodes to a function, and count that it holds them, costs more than a
    step of an episode.
    """
    options: dict[str, Any] = {"forceinline": True, "error_model": "numpy", "_nrt": False}
    return cast(Function, numba.njit(cache=True, nogil=True, **options)(function))
