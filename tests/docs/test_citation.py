"""The citation file, the BibTeX entry and the package agree."""

from __future__ import annotations

import re
import tomllib

import yaml
from repository import ROOT, blocks

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def bibtex() -> dict[str, str]:
    """The fields of the BibTeX entry at the end of the README."""
    (entry,) = blocks((ROOT / "README.md").read_text(), "bibtex")
    assert entry.startswith("@software{goalmaze,")
    return {name: value.strip("{}") for name, value in re.findall(r"(\w+) += (\{.*\})", entry)}


def test_the_citation_file_has_what_the_format_requires() -> None:
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["authors"] == [{"name": "The goalmaze authors"}]


def test_version_licence_and_title_are_those_of_the_package() -> None:
    for cited in (CITATION, bibtex()):
        assert (cited["version"], cited["license"]) == (PROJECT["version"], PROJECT["license"])
        assert cited["title"].lower() == f"{PROJECT['name']}: {PROJECT['description']}".lower()
    assert bibtex()["author"] == CITATION["authors"][0]["name"]
