"""KEY=VALUE pairs from the command line as data."""

from __future__ import annotations

from collections.abc import Iterable

from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import parse_json


def assignments(pairs: Iterable[str], flag: str) -> JsonObject:
    """Return KEY=VALUE pairs as data; a value that is not valid JSON is text.

    Raises:
        GoalmazeError: a pair has no equals sign, or is no text; `flag` is named.
    """
    data: JsonObject = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise GoalmazeError(f"{flag} {pair}: write it as KEY=VALUE")
        # Bytes that are not UTF-8 arrive as halves of surrogate pairs, which can be names of files but no settings.
        if any("\ud800" <= character <= "\udfff" for character in pair):
            raise GoalmazeError(f"{flag} {pair}: write it in UTF-8")
        # size=9 is a number and family=Dish is text; a text that looks like JSON is written with quotes.
        try:
            data[key] = parse_json(value)
        except ValueError:
            data[key] = value
    return data
