"""Steering methods are found by name, a name is used once, and one is fitted by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from goalmaze.agents.policies import NetworkPolicy
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.levels import Family
from goalmaze.probes.context import FitContext
from goalmaze.probes.edits.patterns import GoalPattern
from goalmaze.probes.steering import (
    PatternMethod,
    SteeringMethod,
    find_method,
    fit_edit,
    register_method,
    steering_methods,
)
from goalmaze.probes.steering.registry import unregister_method


def test_methods_are_found_by_name_and_mistakes_are_named() -> None:
    methods = steering_methods()
    patterns = {name for name, one in methods.items() if isinstance(one, PatternMethod)}
    assert {"learned-pattern", "mean-pattern", "probe-direction"} <= patterns < set(methods)
    assert len(methods) >= 13
    assert list(methods) == sorted(methods)
    with pytest.raises(GoalmazeError, match=r"unknown steering method 'gated-patern' \(did you mean 'gated-pattern'"):
        find_method("gated-patern")
    with pytest.raises(GoalmazeError, match=r"'alignment-search' \(it is now called 'das'\)"):
        find_method("alignment-search")


def test_a_method_of_ones_own_is_found_once_it_is_registered_and_a_name_is_used_once() -> None:
    body = {"name": "own-method-for-tests", "fit": lambda *_: None, "__module__": "mine"}
    method = type("OwnMethod", (SteeringMethod,), body)
    with pytest.raises(GoalmazeError, match=r"'own-method-for-tests' is not registered: put @register_method above"):
        find_method("own-method-for-tests")
    assert register_method(method) is method
    assert isinstance(find_method("own-method-for-tests"), method)
    with pytest.raises(GoalmazeError, match=r"'own-method-for-tests' is in use by mine\.OwnMethod: choose another"):
        register_method(type("Other", (SteeringMethod,), body))
    again = register_method(type("OwnMethod", (SteeringMethod,), body))
    assert isinstance(find_method("own-method-for-tests"), again)
    unregister_method("own-method-for-tests")
    assert "own-method-for-tests" not in steering_methods()


def test_fitting_by_name_is_what_the_method_fits(policy: NetworkPolicy, family: Family) -> None:
    context = FitContext(policy, family.levels(7, np.arange(48), split="fitting"))
    fitted = fit_edit(policy, "mean-pattern", "block1", context.levels)
    own = find_method("mean-pattern").fit(context, "block1")
    assert isinstance(fitted, GoalPattern)
    assert isinstance(own, GoalPattern)
    assert torch.equal(fitted.at_target, own.at_target)
    assert fitted.method == "mean-pattern"
    with pytest.raises(GoalmazeError, match="method 'mean-pattern' needs a map of squares, site 'hidden' is none"):
        fit_edit(policy, find_method("mean-pattern"), "hidden", context.levels)
    with pytest.raises(GoalmazeError, match="unknown site"):
        fit_edit(policy, "mean-pattern", "block9", context.levels)
