"""One registry for everything that is found by its name: families, networks, steering methods.

A class registers where it is defined, under a decorator. The modules that ship are imported when a name is first looked
up, and not earlier: they import the registry themselves.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from goalmaze.envs.errors import GoalmazeError, unknown

T = TypeVar("T")


class ClassRegistry(Generic[T]):
    """Classes by name. A name that is in use is refused.

    Args:
        what: what the classes are, for errors: "family".
        decorator: name of the decorator that registers a class, for errors.
        subclasses: returns the direct subclasses of the common base, to find a class that its author did not register.
        shipped: modules whose classes register when they are imported, and packages of such modules.
    """

    def __init__(
        self, what: str, decorator: str, subclasses: Callable[[], Sequence[type[T]]], shipped: Sequence[str]
    ) -> None:
        self._what, self._decorator = what, decorator
        self._subclasses, self._shipped = subclasses, tuple(shipped)
        self._classes: dict[str, type[T]] = {}
        self._imported = False

    def check_free(self, name: str, one: type[T]) -> None:
        """Refuse a name that another class uses. The same class may be defined again, as in a notebook cell.

        Raises:
            GoalmazeError: the name is in use.
        """
        # A class of the user's may be the first to be registered, and must not take the name of one that ships.
        if not self._is_shipped(one):
            self._import_shipped()
        known = self._classes.get(name)
        if known is not None and _definition(known) != _definition(one):
            raise GoalmazeError(
                f"the {self._what} name '{name}' is in use by {_definition(known)}: choose another name"
            )

    def add(self, name: str, one: type[T]) -> None:
        """Register a class under its name.

        Raises:
            GoalmazeError: the name is in use.
        """
        self.check_free(name, one)
        self._classes[name] = one

    def remove(self, name: str) -> None:
        """Remove the class of that name, if there is one."""
        self._classes.pop(name, None)

    def all(self) -> dict[str, type[T]]:
        """Return every registered class by name, in alphabetical order."""
        self._import_shipped()
        return dict(sorted(self._classes.items()))

    def find(self, name: str) -> type[T]:
        """Return the registered class of that name.

        Raises:
            GoalmazeError: there is none; the message suggests the closest name.
        """
        self._import_shipped()
        if name in self._classes:
            return self._classes[name]
        pending = list(self._subclasses())
        while pending:
            one = pending.pop()
            if vars(one).get("name") == name:
                raise GoalmazeError(
                    f"the {self._what} '{name}' is not registered: put @{self._decorator} above its class"
                )
            pending += one.__subclasses__()
        raise unknown(self._what, name, self._classes)

    def _is_shipped(self, one: type[T]) -> bool:
        return any(one.__module__ == name or one.__module__.startswith(f"{name}.") for name in self._shipped)

    def _import_shipped(self) -> None:
        if self._imported:
            return
        for name in self._shipped:
            module = importlib.import_module(name)
            for file in pkgutil.iter_modules(getattr(module, "__path__", ())):
                importlib.import_module(f"{name}.{file.name}")
        # Only now: an import that failed is tried again at the next look-up.
        self._imported = True


def _definition(one: type[object]) -> str:
    return f"{one.__module__}.{one.__qualname__}"
