"""The registry of curricula: a curriculum registers where its class is defined, and recipes find it by name."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple, TypeVar

from goalmaze.agents.training.curricula.base import Curriculum
from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.envs.engines import Engine
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.options import options_from

_curricula: ClassRegistry[Curriculum] = ClassRegistry(
    "curriculum", "register_curriculum", Curriculum.__subclasses__, ["goalmaze.agents.training.curricula"]
)

C = TypeVar("C", bound=type[Curriculum])


class CurriculumChoice(NamedTuple):
    """A curriculum by name, with its options; others keep their defaults."""

    name: str = "dr"
    options: ReadonlyJsonObject = {}  # noqa: RUF012


def register_curriculum(curriculum: C) -> C:
    """Register a curriculum under its name; a decorator of its class.

    Raises:
        GoalmazeError: the name is in use.
    """
    _curricula.add(curriculum.name, curriculum)
    return curriculum


def known_curricula() -> dict[str, type[Curriculum]]:
    """Return every registered curriculum by name, in alphabetical order."""
    return _curricula.all()


def make_curriculum(choice: CurriculumChoice, engine: Engine, seed: int, discount: float) -> Curriculum:
    """Return a curriculum for the environments of an engine.

    Raises:
        GoalmazeError: there is no such curriculum or option, an option is out of range, or the curriculum does not
            support the family.
    """
    curriculum = _curricula.find(choice.name)
    options: object = options_from(f"curriculum {choice.name}", choice.options, curriculum.Options)
    return curriculum(engine, seed, discount, options)


def all_options(curriculum: Curriculum) -> JsonObject:
    """Return the options of a curriculum as plain data, defaults included."""
    options = curriculum.options
    return {field.name: getattr(options, field.name) for field in dataclasses.fields(curriculum.Options)}
