"""The two ways in which kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile `function` to machine code at its first call and keep the code on disk for the next process."""
    # nogil: kernels work on arrays alone, so several may run in Python's threads. `_nrt` allows them to create arrays.
    return cast(Function, numba.njit(cache=True, nogil=True, _nrt=True)(function))


def inlined(function: Function) -> Function:
    """Compile `function`, which must not create arrays, into its callers, without reference counts of arrays.

    To pass the two dozen arrays of a batch of episodes to a function, and to count references to them, costs more time
    than a step of an episode.
    """
    # Without `_nrt` numba leaves out reference counts; error_model="numpy" leaves out the tests for division by zero.
    jit = numba.njit(cache=True, nogil=True, forceinline=True, error_model="numpy", _nrt=False)
    return cast(Function, jit(function))
