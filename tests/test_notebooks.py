"""The notebooks run from top to bottom in a fresh kernel, and a cell that fails is found."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ABSOLUTE_PATH = re.compile(r"(?<![\w.:<])/(?:[\w.-]+/)+")
NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, 4)
    assert sum(cell.cell_type == "code" for cell in notebook.cells) >= 4
    run(notebook, tmp_path)


@pytest.mark.filterwarnings("default")
def test_a_cell_that_fails_is_found(tmp_path: Path) -> None:
    cell = nbformat.v4.new_code_cell("raise ValueError('planted')")
    with pytest.raises(CellExecutionError, match="planted"):
        run(nbformat.v4.new_notebook(cells=[cell]), tmp_path)


def test_the_readme_links_every_notebook() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert {path.stem for path in NOTEBOOKS} == {"story", "your_family", "your_network", "your_method"}
    assert [path.name for path in NOTEBOOKS if f"(notebooks/{path.name})" not in readme] == []


def test_no_notebook_holds_a_path_of_a_machine() -> None:
    for path in NOTEBOOKS:
        cells = nbformat.read(path, 4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        texts = [cell.source for cell in cells] + [output.get("text", "") for output in outputs]
        texts += [text for output in outputs for kind, text in output.get("data", {}).items() if "text" in kind]
        assert [found for text in texts for found in ABSOLUTE_PATH.findall(text)] == [], path.name


def test_a_planted_path_is_found() -> None:
    assert ABSOLUTE_PATH.findall("agent='/some/folder/run'")
    assert not ABSOLUTE_PATH.findall("<td>1/2</td></tr> runs/mine")
