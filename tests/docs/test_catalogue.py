"""The catalogue pages say what the code says, and the committed ones are up to date."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from oracles.markdown import sections, table_rows
from repository import ROOT

from goalmaze.agents.networks import known_networks
from goalmaze.agents.zoo import zoo_names
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import known_families
from goalmaze.experiments.catalogue.pages import markdown, references
from goalmaze.experiments.catalogue.pages.metrics import RESULTS
from goalmaze.experiments.catalogue.pages.write import FOLDER, PAGES, write_pages
from goalmaze.probes.audit.registry import audit_methods
from goalmaze.probes.steering import steering_methods

DOCS = ROOT / "docs"


def committed(name: str) -> str:
    return (DOCS / FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_a_committed_page_is_the_one_that_the_code_gives(name: str) -> None:
    assert committed(name) == PAGES[name](), f"run: {markdown.COMMAND}"


def test_the_folder_holds_the_generated_pages_and_nothing_else() -> None:
    assert sorted(path.name for path in (DOCS / FOLDER).iterdir()) == sorted(PAGES)


def test_pages_are_written_below_a_folder_that_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goalmaze.experiments.catalogue.pages.write.PAGES", {"one.md": lambda: "text\n"})
    assert write_pages(tmp_path) == [tmp_path / FOLDER / "one.md"]
    assert (tmp_path / FOLDER / "one.md").read_text() == "text\n"
    with pytest.raises(GoalmazeError, match="there is no such folder"):
        write_pages(tmp_path / "missing")


def test_everything_registered_has_its_section() -> None:
    methods = {name: type(one) for name, one in steering_methods().items()}
    shipped = {
        "networks.md": [name for name, one in known_networks().items() if one.__module__.startswith("goalmaze.")],
        "methods.md": [name for name, one in methods.items() if one.__module__.startswith("goalmaze.")],
        "audit-methods.md": [
            name for name, one in audit_methods().items() if type(one).__module__.startswith("goalmaze.")
        ],
        "shifts.md": [name for name, one in known_families().items() if one.__module__.startswith("goalmaze.")],
    }
    for page, names in shipped.items():
        assert set(names) <= set(sections(committed(page), 2))
    assert set(zoo_names()) <= set(sections(committed("agents.md"), 3))


def test_a_method_is_listed_with_what_it_uses_and_where_it_applies() -> None:
    rows = {row[0]: row for row in table_rows(committed("methods.md"))}
    pattern = rows["[`mean-pattern`](#mean-pattern)"]
    assert pattern[2:4] == ["maps", "goal cell, target cell"]
    assert "Mini et al. (2023)" in pattern[4]
    assert rows["[`cell-means`](#cell-means)"][2] == "any"


def test_every_shift_of_a_family_is_explained_and_drawn() -> None:
    found = sections(committed("shifts.md"), 2)
    family = known_families()["GreenExit"]()
    assert [row[0].split()[0].strip("`") for row in table_rows(found["GreenExit"])] == list(family.shifts)
    pictures = found["GreenExit"].split("```")[1]
    assert all(shift in pictures for shift in ("training", *family.shifts))
    assert pictures.count("#######") == 2 * (1 + len(family.shifts))


@pytest.mark.parametrize("kind", [kind for kinds in RESULTS.values() for kind in kinds], ids=lambda kind: kind.__name__)
def test_every_field_of_a_result_is_documented(kind: type) -> None:
    fields = {field.name for field in dataclasses.fields(kind)}
    assert fields <= set(markdown.attributes(kind))


def test_docstrings_are_split_into_sections() -> None:
    class Documented:
        """Does one thing, as Mini et al. (2023) did. Then another.

        More prose.

        Attributes:
            first: what it is,
                on two lines.
            second: another.
        """

        @property
        def third(self) -> int:
            """A property. It is computed."""
            return 3

        @property
        def _hidden(self) -> int:
            """Private."""
            return 4

    assert markdown.sentence(Documented) == "Does one thing, as Mini et al. (2023) did."
    assert markdown.prose(Documented).endswith("More prose.")
    assert markdown.attributes(Documented) == {
        "first": "what it is, on two lines.",
        "second": "another.",
        "third": "A property.",
    }


def test_a_dataclass_without_a_docstring_has_no_prose() -> None:
    @dataclasses.dataclass
    class Silent:
        value: int

    assert markdown.prose(Silent) == ""


def test_tables_escape_bars() -> None:
    rows = table_rows(markdown.table(["a", "b"], [["x|y", 1], ["", 2]]))
    assert rows == [[r"x\|y", "1"], ["", "2"]]


def test_citations_lead_to_papers_and_unknown_ones_are_refused() -> None:
    text = "The vector of Mini et al. (2023), a control task (Hewitt and Liang, 2019) and Holm's rule (Holm, 1979)."
    assert [one.year for one in references.cited(text)] == [2023, 2019, 1979]
    assert references.cited("published at ICML 2022, in Table 3") == []
    assert re.match(
        r"- \[Belrose et al\. \(2023\)\]\(https://arxiv\.org/", references.bibliography(references.REFERENCES)
    )
    with pytest.raises(GoalmazeError, match="cites Nobody 1900: add the paper to REFERENCES"):
        references.cited("as in Nobody et al. (1900)")
