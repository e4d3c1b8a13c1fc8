"""The registry of families: a family registers where its class is defined, and everything else finds it by name."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Mapping
from typing import TypeVar

import gymnasium
import msgspec

from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.family_checks import check_class, check_family
from goalmaze.envs.family_docs import extend_docstring
from goalmaze.envs.levels import Family
from goalmaze.envs.shipped import NAMESPACE

_families: ClassRegistry[Family] = ClassRegistry(
    "family", "register_family", Family.__subclasses__, ["goalmaze.envs.families", "goalmaze.envs.procgen.family"]
)

F = TypeVar("F", bound=type[Family])


def register_family(family: F) -> F:
    """Register a family under its name, with Gymnasium as ``goalmaze/NAME-v0`` too; a decorator of its class.

    Bases that several families share are not decorated. The same class may be defined again, as in a notebook cell
    that runs twice.

    Raises:
        GoalmazeError: the name is in use, or what the family declares does not fit together; see
            `goalmaze.envs.family_checks`.

    Example:
        >>> import dataclasses
        >>> import goalmaze as gm
        >>> dish = gm.known_families()["Dish"]
        >>> @gm.register_family
        ... @dataclasses.dataclass(frozen=True)
        ... class BiggerDish(dish):
        ...     name = "BiggerDish"
        ...     size: int = 15
        >>> gm.family("BiggerDish").levels(seed=0, count=2).walls.shape
        (2, 15, 15)
    """
    check_class(family)
    _families.check_free(family.name, family)
    check_family(family)
    unregister_family(family.name)
    _families.add(family.name, family)
    extend_docstring(family)
    gymnasium.register(
        f"{NAMESPACE}/{family.name}-v0",
        entry_point=family.entry_point,
        vector_entry_point=family.vector_entry_point,
        kwargs={"family": family.name},
    )
    return family


def unregister_family(name: str) -> None:
    """Remove a family from the registry and from Gymnasium's."""
    _families.remove(name)
    gymnasium.registry.pop(f"{NAMESPACE}/{name}-v0", None)


def known_families() -> dict[str, type[Family]]:
    """Return every registered family by name, apart from those that require another package.

    Example:
        >>> import goalmaze as gm
        >>> "GreenExit" in gm.known_families()
        True
    """
    return {name: family for name, family in _families.all().items() if family.requires is None}


def can_be_played(name: str) -> bool:
    """Return whether the package that runs a registered family's episodes is installed."""
    requires = family_class(name).requires
    return requires is None or importlib.util.find_spec(requires) is not None


def family_class(name: str) -> type[Family]:
    """Return the registered family of that name.

    Raises:
        GoalmazeError: there is none; the message suggests the closest name.
    """
    return _families.find(name)


def make_family(name: str, parameters: Mapping[str, object] | None = None) -> Family:
    """Build the family called `name` with the given parameters.

    Raises:
        GoalmazeError: no such family or parameter, or a value out of range.
    """
    return from_parameters(family_class(name), parameters or {})


def from_parameters(family: type[Family], parameters: Mapping[str, object]) -> Family:
    """Build a family from plain data, checking names and types.

    Raises:
        GoalmazeError: a parameter is unknown, without effect, of the wrong type, or out of range.
    """
    known = [field.name for field in dataclasses.fields(family)]
    for parameter in parameters:
        if parameter not in known:
            raise unknown(f"parameter of {family.name}", parameter, known)
        # Whoever sets a parameter expects an effect. Saved agents hold the defaults. The size is the family's to check.
        if parameter in family.unused and parameter != "size" and parameters[parameter] != getattr(family, parameter):
            raise GoalmazeError(f"{parameter} has no effect in {family.name}: leave it out")
    try:
        return msgspec.convert(dict(parameters), family)
    except msgspec.ValidationError as error:
        cause = error.__cause__
        raise cause if isinstance(cause, GoalmazeError) else GoalmazeError(f"{family.name}: {error}") from None


def resolve_family(family: str | Family, parameters: Mapping[str, object]) -> Family:
    """Return a family given by name and parameters, or the family itself.

    Raises:
        GoalmazeError: no such family or parameter; or parameters are given to a family that already has its own.
    """
    if isinstance(family, str):
        return make_family(family, parameters)
    if parameters:
        raise GoalmazeError(f"{', '.join(parameters)}: this family has its parameters already; give them by its name")
    return family
