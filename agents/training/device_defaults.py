"""Defaults of a recipe that depend on the device. Imports nothing heavy, since `--help` needs it.

A default that a device may replace equals an ordinary number and is marked. A setting that a person gives is never
marked, even where it equals the default, and no device replaces it.
"""

from __future__ import annotations

from typing import TypeVar, cast

Value = TypeVar("Value", int, float, str)


class _DefaultInt(int):
    """A marked whole number."""


class _DefaultFloat(float):
    """A marked number."""


class _DefaultText(str):
    """A marked text."""

    __slots__ = ()


_MARKED = {int: _DefaultInt, float: _DefaultFloat, str: _DefaultText}


def by_device(value: Value) -> Value:
    """Return a default that equals a value, and that a device may replace."""
    return cast(Value, _MARKED[type(value)](value))


def is_by_device(value: object) -> bool:
    """Return whether a value is such a default, and not a setting that was given."""
    return isinstance(value, _DefaultInt | _DefaultFloat | _DefaultText)


def plain(value: object) -> object:
    """Return a value without the mark, which is then a setting like one that was given."""
    for kind, marked in _MARKED.items():
        if isinstance(value, marked):
            return kind(value)
    return value
