"""Dataclasses as JSON objects: the one place that says how a rate, an interval or a path becomes plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.common.tables import interval, number
from goalmaze.experiments.statistics.intervals import Rate


@runtime_checkable
class HasJson(Protocol):
    """What turns itself into a JSON object."""

    def json(self) -> JsonObject:
        """Return it as plain data."""


@dataclasses.dataclass(frozen=True)
class Record:
    """A dataclass that is one JSON object: its fields in order, under their names.

    The entries of a `ResultHeader` stand beside the other fields, not in an object of their own.

    Attributes:
        json_keys: field → its key, where that is not the name of the field.
        json_omits: fields that are left out, such as arrays with a row for each level.
    """

    json_keys: ClassVar[Mapping[str, str]] = {}
    json_omits: ClassVar[tuple[str, ...]] = ()

    def json(self) -> JsonObject:
        """Return the fields as plain data; see `plain`."""
        data: JsonObject = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, ResultHeader):
                data |= value.json()
            elif field.name not in self.json_omits:
                data[self.json_keys.get(field.name, field.name)] = plain(value)
        return data


def plain(value: object) -> object:
    """Return a value as `json.dumps` takes it.

    Numbers have four digits, and NaN, which JSON cannot express, is None. A rate is an object of value, low, high and
    levels; a path is text.
    """
    if isinstance(value, Rate):
        return {"value": number(value.value), **interval(value)}
    if isinstance(value, HasJson):
        return value.json()
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value
