"""JSON data: its types, and how an entry of nested objects is looked up.

What a JSON file holds is known only after it was validated, so the values of an object are `Any` here and nowhere else:
code that reads a file checks each value before it uses it, and code that writes one lets mypy check what it puts in.
"""

import functools
import operator
from collections.abc import Mapping
from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""A JSON object that its owner fills or has just parsed."""

ReadonlyJsonObject: TypeAlias = Mapping[str, Any]
"""A JSON object of somebody else's: it is read and not changed."""


def value_at(data: ReadonlyJsonObject, path: str) -> Any:
    """Return an entry of nested objects; dots separate the keys of its path.

    Raises:
        KeyError: there is none.

    Example:
        >>> value_at({"preference": {"cue": 0.25}}, "preference.cue")
        0.25
    """
    return functools.reduce(operator.getitem, path.split("."), data)
