"""Files are written whole or not at all, and nothing else in goalmaze writes files."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from repository import ROOT

from goalmaze.agents.files import new_folder, remove_temporaries, write_atomically
from goalmaze.envs.errors import GoalmazeError

FOLDERS = ("agents", "envs", "experiments", "goalmaze", "probes", "scripts")
WRITERS = {"write_text", "write_bytes", "savefig", "tofile"}
ALLOWED = {
    # Through memory, see the callers.
    ("experiments/common/plots.py", "savefig"),
    ("experiments/reports/charts.py", "savefig"),
    # The null device, in place of a stream that is closed.
    ("experiments/common/console.py", "open"),
    # A temporary file, which is renamed.
    ("envs/jit/cache.py", "write_bytes"),
}


def direct_writes(source: str) -> list[str]:
    """Return the calls in a source that write to a file by its name."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    names = [node.func.attr for node in calls if isinstance(node.func, ast.Attribute) and node.func.attr in WRITERS]
    for node in calls:
        is_method = isinstance(node.func, ast.Attribute) and node.func.attr == "open"
        if is_method or (isinstance(node.func, ast.Name) and node.func.id == "open"):
            modes = [
                one.value for one in [*node.args, *(k.value for k in node.keywords)] if isinstance(one, ast.Constant)
            ]
            names += ["open" for mode in modes if isinstance(mode, str) and set(mode) & set("wax") and len(mode) < 4]
    return names


def test_no_other_code_writes_files() -> None:
    found = {
        (file.relative_to(ROOT).as_posix(), name)
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        for name in direct_writes(file.read_text("utf-8"))
    }
    assert found == ALLOWED
    assert direct_writes("path.write_text('a'); open(path, 'w'); path.open(mode='ab'); open(path)") == [
        "write_text", "open", "open"
    ]  # fmt: skip


def test_a_link_is_followed_and_a_pipe_written_to(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    read, write = os.pipe()
    write_atomically(Path(f"/dev/fd/{write}"), b"through")
    assert os.read(read, 99) == b"through"
    os.close(read)
    os.close(write)
    write_atomically(tmp_path / ("a" * 255), b"a long name")
    with pytest.raises(GoalmazeError, match=r"cannot write .*: Is a directory"):
        write_atomically(tmp_path, b"")


def test_a_folder_appears_with_all_its_files_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "folder"

    def write(text: str, *, replace: bool) -> None:
        with new_folder(target, replace=replace) as folder:
            (folder / "one").write_text(text)
            assert target.exists() is replace
            if text == "bad":
                raise KeyboardInterrupt

    write("good", replace=False)
    with pytest.raises(GoalmazeError, match=r"already exists"):
        write("other", replace=False)
    with pytest.raises(KeyboardInterrupt):
        write("bad", replace=True)
    assert (target / "one").read_text() == "good"
    write("better", replace=True)
    assert (target / "one").read_text() == "better"
    assert [path.name for path in target.parent.iterdir()] == ["folder"]


def test_temporary_files_alone_are_removed(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    kept = (".notes.2024", ".mine", ".goalmaze-notes", "state.safetensors.1", ".checkpoint.safetensors.old")
    temporary = (".goalmaze-1-0a.tmp", ".state.safetensors.123", "below/.goalmaze-2-0b.tmp")
    for name in (*kept, *temporary):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path, below=False)
    assert (tmp_path / "below/.goalmaze-2-0b.tmp").exists()
    remove_temporaries(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((*kept, "below"))
    assert not list((tmp_path / "below").iterdir())
