"""The three ways in which kernels are compiled. Their machine code is kept on disk for the next process."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.core.ccallback import CFunc
from numba.core.sigutils import normalize_signature

from goalmaze.envs.jit.cache import CodeCache

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile `function` to machine code at its first call."""
    # nogil: kernels work on arrays alone, so several may run in Python's threads. `_nrt` allows them to create arrays.
    return _cached(numba.njit(nogil=True, _nrt=True)(function), function)


def inlined(function: Function) -> Function:
    """Compile `function`, which must not create arrays, into its callers, without reference counts of arrays.

    To pass the two dozen arrays of a batch of episodes to a function, and to count references to them, costs more time
    than a step of an episode.
    """
    # Without `_nrt` numba leaves out reference counts; error_model="numpy" leaves out the tests for division by zero.
    jit = numba.njit(nogil=True, forceinline=True, error_model="numpy", _nrt=False)
    return _cached(jit(function), function)


class Callback:
    """A function that C code can call by its address, compiled when the address is needed first.

    Args:
        function: the Python function.
        signature: its type for numba.
    """

    def __init__(self, function: Callable[..., object], signature: object) -> None:
        self._function, self._signature = function, signature

    @functools.cached_property
    def ctypes(self) -> Any:
        """The compiled function for calls through `ctypes`."""
        # numba's decorator compiles at once, so importing a module would take a minute where nothing is cached.
        options = {"error_model": "numpy"}
        # Any, since the types of numba leave out the cache.
        callback: Any = CFunc(self._function, normalize_signature(self._signature), locals={}, options=options)
        callback._cache = CodeCache(self._function)
        callback.compile()
        # A reference to the callback keeps its machine code alive.
        self._callback = callback
        return callback.ctypes


def callback(signature: object) -> Callable[[Callable[..., object]], Callback]:
    """Return a decorator that makes a function callable from C, with a signature of numba."""
    return lambda function: Callback(function, signature)


def _cached(dispatcher: Any, function: Function) -> Function:
    # In place of numba's own cache, see `goalmaze.envs.jit.cache`.
    dispatcher._cache = CodeCache(function)
    return cast(Function, dispatcher)
