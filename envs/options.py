"""Options of a component, such as those of a network, from plain data of a file or the command line."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import msgspec

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.json_data import ReadonlyJsonObject

T = TypeVar("T")


def options_from(owner: str, options: ReadonlyJsonObject, kind: type[T]) -> T:
    """Return the options of a dataclass from plain data; those that are not given keep their defaults.

    Args:
        owner: what has these options, for messages, such as "network grid".
        options: name → value.
        kind: the dataclass.

    Raises:
        GoalmazeError: there is no such option, or one is of the wrong type or out of range.

    Example:
        >>> import dataclasses
        >>> @dataclasses.dataclass(frozen=True)
        ... class Options:
        ...     width: int = 8
        >>> options_from("network mine", {"width": 16}, Options)
        Options(width=16)
    """
    # Any: a dataclass, which type[T] cannot say.
    dataclass: Any = kind
    fields = [field.name for field in dataclasses.fields(dataclass)]
    for option in options:
        if not fields:
            raise GoalmazeError(f"{owner} has no options, so no {option}: leave it out")
        if option not in fields:
            raise unknown(f"option of {owner}", option, fields)
    try:
        return msgspec.convert(dict(options), kind)
    except msgspec.ValidationError as error:
        raise GoalmazeError(f"{owner}: {error}") from None
