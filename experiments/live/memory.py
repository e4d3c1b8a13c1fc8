"""The memory of what is kept for later, counted in bytes."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Hashable, Iterable
from types import ModuleType
from typing import Generic, TypeVar

import numpy as np
import torch

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByteCache(Generic[K, V]):
    """Values that are kept for later, the oldest of which go first when they need too much memory.

    The newest value stays even where it alone needs more. Several threads may use one cache.

    Args:
        limit: bytes that all values together may need.

    Attributes:
        bytes: bytes that the values need now.
    """

    def __init__(self, limit: int) -> None:
        self._limit, self.bytes = limit, 0
        self._values: dict[K, tuple[V, int]] = {}
        self._lock = threading.Lock()

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value of a key, None where there is none."""
        entry = self._values.get(key)
        return None if entry is None else entry[0]

    def put(self, key: K, value: V) -> None:
        """Keep a value, and drop the oldest ones where too much is kept."""
        size = tensor_bytes(value)
        with self._lock:
            self._drop(key)
            self._values[key] = (value, size)
            self.bytes += size
            while self.bytes > self._limit and len(self._values) > 1:
                # Dictionaries keep the order of insertion, so the first key is the oldest.
                self._drop(next(iter(self._values)))

    def clear(self) -> None:
        """Drop all values."""
        with self._lock:
            self._values.clear()
            self.bytes = 0

    def _drop(self, key: K) -> None:
        entry = self._values.pop(key, None)
        self.bytes -= 0 if entry is None else entry[1]


def tensor_bytes(value: object) -> int:
    """Return the bytes of all tensors and arrays that a value holds, directly or in its attributes."""
    blocks: dict[int, int] = {}
    visited: set[int] = set()
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if id(one) in visited:
            continue
        visited.add(id(one))
        if isinstance(one, torch.Tensor):
            # Views of one storage are counted once.
            storage = one.untyped_storage()
            blocks[storage.data_ptr()] = storage.nbytes()
        elif isinstance(one, np.ndarray):
            blocks[one.__array_interface__["data"][0]] = one.nbytes
        else:
            waiting.extend(_parts(one))
    return sum(blocks.values())


def _parts(value: object) -> Iterable[object]:
    """Return what a container or an object holds."""
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, type | ModuleType):
        return ()
    return list(getattr(value, "__dict__", {}).values())


def release_memory() -> None:
    """Give the memory of freed blocks back to the system, where the C library can."""
    # `keep_large_blocks` makes glibc keep freed blocks. That is right while a page is used, not after it was closed.
    if sys.platform.startswith("linux"):
        try:
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        except (OSError, AttributeError):
            return
