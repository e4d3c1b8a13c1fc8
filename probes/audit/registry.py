"""The registry of audit methods: a method registers where its class is defined and is found by name elsewhere.

The files of the folder `methods` are imported when a method is first looked up; others must be imported by their user.
"""

from __future__ import annotations

from typing import TypeVar

from goalmaze.envs.class_registry import ClassRegistry
from goalmaze.probes.audit.method import AuditMethod
from goalmaze.probes.audit.tiers import Tier

_methods: ClassRegistry[AuditMethod] = ClassRegistry(
    "audit method", "register_audit_method", AuditMethod.__subclasses__, ["goalmaze.probes.audit.methods"]
)

M = TypeVar("M", bound=type[AuditMethod])


def register_audit_method(method: M) -> M:
    """Register an audit method under its name; a decorator of its class.

    The same class may be defined again, as in a notebook cell that runs twice.

    Raises:
        GoalmazeError: the name is in use.

    Example:
        >>> import goalmaze as gm
        >>> from goalmaze.probes.audit.method import Measurement, T0Method
        >>> @gm.register_audit_method
        ... class MeanValue(T0Method):
        ...     name = "mean-value"
        ...
        ...     def measure(self, access):
        ...         return Measurement.of_levels(-access.outputs().values.numpy())
        >>> "mean-value" in gm.audit_methods()
        True
    """
    _methods.add(method.name, method)
    return method


unregister_audit_method = _methods.remove


def audit_methods() -> dict[str, AuditMethod]:
    """Return every registered audit method by name, in alphabetical order.

    Example:
        >>> import goalmaze as gm
        >>> str(gm.audit_methods()["value-gradient"].tier)
        'T2'
    """
    return {name: method() for name, method in _methods.all().items()}


def find_audit_method(name: str) -> AuditMethod:
    """Return the registered audit method of that name.

    Raises:
        GoalmazeError: there is none; the message suggests the closest name.
    """
    return _methods.find(name)()


def methods_up_to(tier: Tier) -> list[AuditMethod]:
    """Return the methods that a tier allows, lower tiers first."""
    return sorted((one for one in audit_methods().values() if one.tier <= tier), key=lambda one: (one.tier, one.name))
