"""The registry of memory methods: a method registers where its class is defined and is found by name elsewhere."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.probes.edits.fitted import FittedEdit
from goalmaze.probes.edits.memory_table import GoalMemories
from goalmaze.probes.rewriting.base import MemoryMethod

_methods: ClassRegistry[MemoryMethod] = ClassRegistry(
    "memory method", "register_memory_method", MemoryMethod.__subclasses__, ["goalmaze.probes.rewriting"]
)

M = TypeVar("M", bound=type[MemoryMethod])


def register_memory_method(method: M) -> M:
    """Register a memory method under its name; a decorator of its class.

    Raises:
        GoalmazeError: the name is in use.
    """
    _methods.add(method.name, method)
    return method


def memory_methods() -> dict[str, MemoryMethod]:
    """Return every registered memory method by name, in alphabetical order."""
    return {name: method() for name, method in _methods.all().items()}


def fit_memory_method(name: str, memories: GoalMemories) -> FittedEdit:
    """Return what a method fits to some memories, with the name of the method on it.

    Raises:
        GoalmazeError: there is no such method.
    """
    return dataclasses.replace(_methods.find(name)().fit(memories), method=name)
