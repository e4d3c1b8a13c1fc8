"""The site: its reference lists what is exported, links are rewritten for it, and a dead link ends the build."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
from repository import ROOT, load_file

api_reference = load_file("docs/extensions/api_reference.py")
notebook_pages = load_file("docs/extensions/notebook_pages.py")
repository_links = load_file("docs/extensions/repository_links.py")
check_site = load_file("scripts/check_site.py")


class Thing:
    """A thing. It has more to say."""


class RefusedError(ValueError):
    """Something is refused."""


def act() -> None:
    """Act on
    a thing.

    At length.
    """


def lazy_module(exported: dict[str, object]) -> types.ModuleType:
    """A module that imports a name when it is first used."""
    module = types.ModuleType("lazy", "A module.")
    vars(module).update(__all__=[*exported, "_private"], __getattr__=exported.__getitem__)
    return module


def test_every_exported_name_has_a_page_and_a_line() -> None:
    exported = {"act": act, "Thing": Thing, "RefusedError": RefusedError, "limit": 3}
    pages = api_reference.export_pages(lazy_module(exported))
    assert set(pages) == {"api", "api-act", "api-Thing", "api-RefusedError", "api-limit"}
    assert ".. autofunction:: lazy.act" in pages["api-act"]
    assert ".. autoclass:: lazy.Thing\n   :members:" in pages["api-Thing"]
    assert ".. autoexception:: lazy.RefusedError" in pages["api-RefusedError"]
    assert ".. autodata:: lazy.limit" in pages["api-limit"]
    assert "   * - :doc:`act <api-act>`\n     - Act on a thing.\n" in pages["api"]
    assert "   * - :doc:`Thing <api-Thing>`\n     - A thing.\n" in pages["api"]


def test_functions_are_listed_before_classes() -> None:
    listing = api_reference.export_pages(lazy_module({"Thing": Thing, "act": act}))["api"]
    assert listing.index("Functions\n-----") < listing.index("act") < listing.index("Classes\n-----")
    assert "Errors" not in listing


def test_type_aliases_are_found_by_name() -> None:
    module = types.ModuleType("aliases")
    vars(module).update(Cells=list[int], Maybe=int | None, NDArray=list[str], Thing=Thing, act=act, limit=3)
    assert api_reference.type_aliases([module]) == {"Cells": "Cells", "Maybe": "Maybe"}


def test_an_export_that_is_added_has_a_file_of_its_own_even_where_case_is_ignored() -> None:
    before = api_reference.export_pages(lazy_module({"act": act}))
    after = api_reference.export_pages(lazy_module({"act": act, "Act": Thing}))
    assert set(after) - set(before) == {"api-Act-"}
    assert "lazy.Act" in after["api-Act-"]


def test_the_modules_of_a_package_are_listed_by_folder_without_private_ones(tmp_path: Path) -> None:
    for path in ("__init__.py", "one.py", "_hidden.py", "__main__.py", "wing/__init__.py", "wing/two.py", "_wing/x.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    package = types.ModuleType("package")
    package.__path__ = [str(tmp_path)]
    assert api_reference.folders(package) == {"package": ["one"], "package.wing": ["two"]}


def test_pages_that_are_not_wanted_any_more_are_removed(tmp_path: Path) -> None:
    api_reference.write(tmp_path, {"a": "1", "b": "2"})
    time = (tmp_path / "a.rst").stat().st_mtime_ns
    api_reference.write(tmp_path, {"a": "1", "c": "3"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.rst", "c.rst"]
    assert (tmp_path / "a.rst").stat().st_mtime_ns == time


@pytest.mark.parametrize(
    ("text", "folder", "page", "rewritten"),
    [
        ("[a](docs/guide.md#train)", ".", "docs", "[a](guide.md#train)"),
        ("![a](docs/demo.png)", ".", "docs", "![a](demo.png)"),
        ("[a](CONTRIBUTING.md)", ".", "docs", "[a](contributing.md)"),
        ("[a](LICENSE)", ".", "docs", "[a](../LICENSE)"),
        ("[a](notebooks/story.py)", ".", "docs", "[a](notebooks/generated/story.md)"),
        ("[a](../notebooks/story.ipynb)", "docs", "docs", "[a](notebooks/generated/story.md)"),
        ("[a](../../../notebooks/story.py)", *["docs/notebooks/generated"] * 2, "[a](../../../notebooks/story.py)"),
        ("[a](../CHANGELOG.md)", "docs", "docs", "[a](changelog.md)"),
        ("[a](../README.md#top)", "docs/catalogue", "docs/catalogue", "[a](../README.md#top)"),
        ("[a](../../README.md)", "docs/catalogue", "docs/catalogue", "[a](../index.md)"),
        ("[a](https://x.org/docs/guide.md) [b](#top)", ".", "docs", "[a](https://x.org/docs/guide.md) [b](#top)"),
    ],
)
def test_links_are_rewritten_for_the_page_that_shows_them(text: str, folder: str, page: str, rewritten: str) -> None:
    assert repository_links.rewrite(text, ROOT / folder, ROOT / "docs", ROOT / page) == rewritten


PERCENT = '''"""Not shown."""

# %% [markdown]
# # A title
# Words.

# %% 1. A cell
x = 1

# %%
print(x)
'''

IPYNB = {
    "cells": [
        {"cell_type": "markdown", "source": ["Words.\n", "\n", "More."]},
        {"cell_type": "code", "source": ["print(1)"], "outputs": [{"text": ["1\n"]}]},
        {"cell_type": "code", "source": ["2"], "outputs": [{"data": {"text/plain": ["2"], "text/html": ["<b>2</b>"]}}]},
    ]
}


def test_notebooks_become_pages(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "one.py").write_text(PERCENT)
    (tmp_path / "notebooks" / "two_words.ipynb").write_text(json.dumps(IPYNB))
    folder = tmp_path / "docs" / "pages"
    assert notebook_pages.write(tmp_path / "notebooks", folder) == [folder / "one.md", folder / "two_words.md"]
    link = "The notebook: [`{0}`](../../notebooks/{0})."
    code = "```python\n{}\n```"
    assert (folder / "one.md").read_text().split("\n\n") == [
        "# A title\nWords.",
        link.format("one.py"),
        "## 1. A cell",
        code.format("x = 1"),
        code.format("print(x)") + "\n",
    ]
    assert (folder / "two_words.md").read_text().split("\n\n") == [
        "# Two words",
        link.format("two_words.ipynb"),
        "Words.",
        "More.",
        code.format("print(1)"),
        "```text\n1\n```",
        code.format("2"),
        "```text\n2\n```\n",
    ]


WHOLE = '<html><body id="top"><a href="b.html#there">b</a><a href="https://x.org">x</a><img src="a.png"></body></html>'


def site(folder: Path, page: str) -> list[str]:
    """The faults of a site of two pages and a picture."""
    (folder / "a.html").write_text(page)
    (folder / "b.html").write_text('<a id="there" href="a.html#top">a</a>')
    (folder / "a.png").touch()
    return list(check_site.faults(folder))


def test_a_whole_site_has_no_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert site(tmp_path, WHOLE) == []
    assert check_site.main([str(tmp_path)]) == 0
    assert "every link" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("good", "bad", "fault"),
    [
        ("b.html#there", "c.html", "a.html: c.html leads to no file"),
        ("b.html#there", "b.html#nowhere", "a.html: b.html#nowhere leads to no anchor of its page"),
        ('src="a.png"', 'src="c.png"', "a.html: c.png leads to no file"),
        ('src="a.png"', 'src="https://x.org/a.png"', "a.html: loads https://x.org/a.png from the network"),
        ("<body", '<link rel="stylesheet" href="//x.org/a.css"><body', "a.html: loads //x.org/a.css from the network"),
    ],
)
def test_a_planted_fault_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], good: str, bad: str, fault: str
) -> None:
    assert good in WHOLE
    assert site(tmp_path, WHOLE.replace(good, bad)) == [fault]
    assert check_site.main([str(tmp_path)]) == 1
    assert fault in capsys.readouterr().out


def test_an_empty_folder_is_no_site(tmp_path: Path) -> None:
    assert list(check_site.faults(tmp_path)) == [f"{tmp_path}: no pages"]


def build(source: Path, index: str) -> subprocess.CompletedProcess[str]:
    """Build a site of two pages with the settings of ours, as `scripts/build-docs` does."""
    source.mkdir()
    (source / "index.md").write_text(index)
    (source / "other.md").write_text("---\norphan: true\n---\n# Other\n\n## A section\n")
    settings = [
        "-c",
        str(ROOT / "docs"),
        "-D",
        "extensions=myst_parser,repository_links",
        "--quiet",
        "--fail-on-warning",
    ]
    command = [sys.executable, "-m", "sphinx", *settings, str(source), str(source.parent / "site")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_page_with_live_links_is_built(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed; make docs installs it")
    done = build(tmp_path / "source", "# Index\n\n[other](other.md) [section](other.md#a-section)\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert check_site.main([str(tmp_path / "site")]) == 0


def test_a_page_with_dead_links_is_not_built_and_each_is_named(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed; make docs installs it")
    dead = {
        "missing.md": "cross-reference target not found: 'missing.md'",
        "other.md#no-section": "local id not found in doc 'other': 'no-section'",
        "#nowhere": "cross-reference target not found: 'nowhere'",
    }
    done = build(tmp_path / "source", "# Index\n\n" + "\n\n".join(f"[other]({link})" for link in dead))
    assert done.returncode == 1
    warnings = [line for line in done.stderr.splitlines() if "index.md:" in line]
    assert all(words in line for words, line in zip(dead.values(), warnings, strict=True))


def test_the_navigation_keeps_titles_and_pages_below_alone() -> None:
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed; make docs installs it")
    from docutils import nodes
    from sphinx import addnodes

    def entry(title: str, *below: nodes.Node) -> nodes.list_item:
        return nodes.list_item("", nodes.paragraph(title, title), *([nodes.bullet_list("", *below)] if below else []))

    tree = addnodes.toctree(entries=[(None, "page")])
    section = entry("section", entry("object"), tree.deepcopy())
    contents = nodes.bullet_list("", entry("title", entry("object"), section), entry("short"), tree)
    before = contents.pformat()
    pruned = load_file("docs/extensions/navigation.py").titles(contents)
    assert pruned.pformat() == nodes.bullet_list("", entry("title", tree.deepcopy()), entry("short"), tree).pformat()
    assert contents.pformat() == before, "a page shows its sections beside its text"
    assert "object" in before


@pytest.mark.parametrize(
    ("line", "prepared"),
    [
        ("int32 [B, *shape], a|b and import_", r"int32 [B, \*shape], a\|b and import\_"),
        ("`code_` and ``a*b`` stay", "`code_` and ``a*b`` stay"),
        ("several `Site`s, one `Site`.", "several `Site`\\ s, one `Site`."),
        (">>> a * b_", ">>> a * b_"),
    ],
)
def test_docstrings_are_prepared_for_restructured_text(line: str, prepared: str) -> None:
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed; make docs installs it")
    docstrings = load_file("docs/extensions/docstrings.py")
    assert docstrings.prepare([line]) == [prepared]


def test_markdown_in_docstrings_and_types_of_attributes() -> None:
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed; make docs installs it")
    docstrings = load_file("docs/extensions/docstrings.py")
    lines = ["Text.", "", "## Rules", "| a | b |", "|---|---|", "More."]
    table = ["::", "", "    | a | b |", "    |---|---|", ""]
    assert docstrings.prepare(lines) == ["Text.", "", ".. rubric:: Rules", "", *table, "More."]
    lines = ["Text.", "```python", "x_ = a * b", "```", "More*."]
    block = ["", ".. code-block:: python", "", "    x_ = a * b", ""]
    assert docstrings.prepare(lines) == ["Text.", *block, "More\\*."]

    class Typed:
        first: int
        second: list[str]

    fields = [":ivar first: one,", "             on two lines", ":ivar second: two", ":ivar third: unknown"]
    found = docstrings.with_types(fields, Typed)
    assert found[2] == ":vartype first: int"
    assert found[4] == ":vartype second: list[str]"
    assert found[5:] == [":ivar third: unknown", ""]
