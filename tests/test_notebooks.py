"""The notebooks run from top to bottom in a fresh kernel, and a cell that fails is found."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

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
    cell = nbformat.v4.new_code_cell("import goalmaze as gm\ngm.load('zoo:none')")
    with pytest.raises(CellExecutionError, match="unknown zoo agent 'none'"):
        run(nbformat.v4.new_notebook(cells=[cell]), tmp_path)


def test_the_readme_links_every_notebook() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert {path.stem for path in NOTEBOOKS} == {"story", "your_family", "your_network", "your_method"}
    assert [path.name for path in NOTEBOOKS if f"(notebooks/{path.name})" not in readme] == []


def test_no_notebook_holds_a_path_of_a_machine() -> None:
    for path in NOTEBOOKS:
        text = path.read_text()
        assert not [word for word in ("/home/", "/root/", "/work/", "/tmp/", "Users") if word in text], path.name
