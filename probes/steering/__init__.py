"""Steering methods, one file each; see `registry` for how they are found by name."""

from goalmaze.probes.steering.base import Method, PatternMethod
from goalmaze.probes.steering.registry import find_method, fit_edit, steering_methods

__all__ = ["Method", "PatternMethod", "find_method", "fit_edit", "steering_methods"]
