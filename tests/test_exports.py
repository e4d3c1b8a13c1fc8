"""What `import goalmaze` exports: pinned, documented with examples that run, and free to import."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import goalmaze as gm
from goalmaze.agents.networks.registry import unregister_network
from goalmaze.envs.registry import unregister_family
from goalmaze.probes.audit.registry import unregister_audit_method
from goalmaze.probes.steering.registry import unregister_method

EXPORTED = {
    "Agent",
    "Edit",
    "Family",
    "FitContext",
    "FittedEdit",
    "GoalMove",
    "GoalPattern",
    "GoalmazeError",
    "LevelBatch",
    "Network",
    "ObjectType",
    "ObservationSpec",
    "Placement",
    "Population",
    "Recipe",
    "Result",
    "SteeringMethod",
    "Table",
    "Trajectory",
    "__version__",
    "audit",
    "audit_methods",
    "card",
    "compare",
    "compare_populations",
    "evaluate",
    "explain",
    "explain_features",
    "explain_units",
    "family",
    "fit_edit",
    "grid",
    "infer_goals",
    "known_families",
    "known_networks",
    "load",
    "load_population",
    "plans",
    "probe",
    "register_audit_method",
    "register_family",
    "register_method",
    "register_network",
    "retarget",
    "rewrite_memory",
    "rollout",
    "steering_methods",
    "train",
    "wrap_module",
    "zoo_names",
}
"""A name is added or removed here on purpose, with a line in the changelog."""


def test_exactly_these_names_are_exported() -> None:
    assert set(gm.__all__) == EXPORTED
    assert set(dir(gm)) >= EXPORTED


def test_a_name_that_is_not_exported_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'goalmaze' has no attribute 'evalute'"):
        _ = gm.evalute


def test_type_checkers_see_what_is_imported_at_run_time() -> None:
    source = inspect.getsource(gm)
    for name, home in gm._HOMES.items():
        assert f"from goalmaze.{home} import" in source, name
        assert f"{name} as {name}" in source, name


def examples_of(name: str, value: object) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(recurse=False).find(value, name, globs={}) if test.examples]


@pytest.mark.parametrize("name", sorted(EXPORTED - {"__version__"}))
def test_everything_exported_has_an_example_that_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    families, networks, methods = set(gm.known_families()), set(gm.known_networks()), set(gm.steering_methods())
    audit_methods = set(gm.audit_methods())
    examples = examples_of(name, getattr(gm, name))
    assert examples, f"gm.{name} has no example in its docstring"
    for example in examples:
        report: list[str] = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(
            example, out=report.append
        )
        assert not report, "".join(report)
    for added in set(gm.known_families()) - families:
        unregister_family(added)
    for added in set(gm.known_networks()) - networks:
        unregister_network(added)
    for added in set(gm.steering_methods()) - methods:
        unregister_method(added)
    for added in set(gm.audit_methods()) - audit_methods:
        unregister_audit_method(added)


def test_a_wrong_example_is_found() -> None:
    def wrong() -> None:
        """Add.

        >>> 1 + 1
        3
        """

    report: list[str] = []
    for example in examples_of("wrong", wrong):
        doctest.DocTestRunner().run(example, out=report.append)
    assert report


@pytest.mark.parametrize("name", sorted(EXPORTED - {"__version__"}))
def test_docstrings_of_functions_name_what_they_take(name: str) -> None:
    value = getattr(gm, name)
    if inspect.isfunction(value) and (parameters := list(inspect.signature(value).parameters)) and len(parameters) > 2:
        text = inspect.getdoc(value) or ""
        assert [parameter for parameter in parameters if f"    {parameter}: " not in text] == []


def test_importing_goalmaze_loads_nothing_heavy() -> None:
    code = "import sys, goalmaze; print(sorted({'torch', 'numpy', 'numba', 'gymnasium', 'tyro'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    used = code.replace("goalmaze;", "goalmaze; goalmaze.family;")
    assert "numba" in subprocess.run([sys.executable, "-c", used], capture_output=True, text=True, check=True).stdout
