"""Every package that `make` installs has a pinned version which pyproject.toml allows."""

import re
import tomllib
from collections.abc import Iterator

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from repository import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = {"constraints.txt": ("3.13", ["dev", "docs"]), "constraints-procgen.txt": ("3.12", ["dev", "procgen"])}
"""The constraints of each environment: its newest Python, and the extras that `make` installs there."""


def pins(file: str) -> dict[str, Version]:
    found = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / file).read_text(), flags=re.MULTILINE)
    versions = {canonicalize_name(name): Version(version) for name, version in found}
    assert len(versions) == len(found), "a package is pinned twice"
    return versions


def requirements(extras: list[str], python: str) -> Iterator[Requirement]:
    """Yield what an installation with these extras requires, with the extras that they name in turn."""
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    for requirement in (Requirement(line) for lines in lists for line in lines):
        if requirement.name == PROJECT["name"]:
            yield from requirements(sorted(requirement.extras), python)
        elif requirement.marker is None or requirement.marker.evaluate({"python_version": python}):
            yield requirement


@pytest.mark.parametrize("file", FILES)
def test_every_requirement_is_pinned_to_an_allowed_version(file: str) -> None:
    python, extras = FILES[file]
    versions = pins(file)
    required = list(requirements(extras, python))
    assert {"numpy", "pytest", "distributed"} <= {requirement.name for requirement in required}
    for requirement in required:
        assert canonicalize_name(requirement.name) in versions, f"{requirement.name} is not pinned in {file}"
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{file} pins {requirement.name} {version}"


def test_procgen_keeps_numpy_below_2() -> None:
    assert pins("constraints-procgen.txt")["numpy"] < Version("2") <= pins("constraints.txt")["numpy"]
