"""KEY=VALUE pairs from the command line as data."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from goalmaze.envs.errors import GoalmazeError


def assignments(pairs: Iterable[str], flag: str) -> dict[str, Any]:
    """Turn KEY=VALUE pairs into data; a value that is no JSON is text.

    Raises:
        GoalmazeError: a pair has no equals sign; `flag` is named.
    """
    data: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise GoalmazeError(f"{flag} {pair}: write it as KEY=VALUE")
        try:
            data[key] = json.loads(value)
        except ValueError:
            data[key] = value
    return data
