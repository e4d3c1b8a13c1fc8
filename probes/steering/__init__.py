"""Steering methods, one file each; see `registry` for how they are found by name."""

from goalmaze.probes.steering.base import PatternMethod, SteeringMethod
from goalmaze.probes.steering.fit import fit_edit, fit_method
from goalmaze.probes.steering.registry import find_method, register_method, steering_methods

__all__ = [
    "PatternMethod",
    "SteeringMethod",
    "find_method",
    "fit_edit",
    "fit_method",
    "register_method",
    "steering_methods",
]
