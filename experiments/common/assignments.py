"""KEY=VALUE pairs from the command line as data."""

from __future__ import annotations

import json
from collections.abc import Iterable

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject


def assignments(pairs: Iterable[str], flag: str) -> JsonObject:
    """Return KEY=VALUE pairs as data; a value that is not valid JSON is text.

    Raises:
        GoalmazeError: a pair has no equals sign; `flag` is named.
    """
    data: JsonObject = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise GoalmazeError(f"{flag} {pair}: write it as KEY=VALUE")
        # size=9 is a number and family=Dish is text; a text that looks like JSON is written with quotes.
        try:
            data[key] = json.loads(value)
        except ValueError:
            data[key] = value
    return data
