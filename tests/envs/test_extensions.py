"""Code of the user's own: imported once, from a file or by a module's name, and refused in one line if it fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from goalmaze.envs import extensions
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.extensions import extensions_needed, import_flags, load_extension, loaded_extensions


@pytest.fixture(autouse=True)
def _forget_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    # Printed commands name what is loaded, also those that later tests compare.
    monkeypatch.setattr(extensions, "_loaded", {})


def test_a_file_is_imported_once_and_its_name_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import sys\nsys.goalmaze_counted = getattr(sys, 'goalmaze_counted', 0) + 1\nVALUE = 3\n")
    try:
        first = load_extension(str(path))
        assert first.VALUE == 3
        assert load_extension(str(path)) is first
        assert sys.goalmaze_counted == 1  # type: ignore[attr-defined]
    finally:
        del sys.goalmaze_counted  # type: ignore[attr-defined]
    assert str(path) in loaded_extensions()


def test_two_files_of_one_name_are_two_modules(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(f"FOLDER = {folder!r}\n")
    found = [load_extension(str(tmp_path / folder / "same.py")).FOLDER for folder in ("a", "b")]
    assert found == ["a", "b"]


def test_a_module_is_imported_by_its_name() -> None:
    assert load_extension("json.tool").__name__ == "json.tool"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"--import .*mine\.py: there is no such file"),
        ("VALUE = 1\nraise RuntimeError('no')\n", r"--import .*: RuntimeError: no \(line 2 of mine\.py\)"),
        ("def f(:\n", r"--import .*: SyntaxError"),
        ("import not_there_at_all\n", r"--import .*: ModuleNotFoundError: No module named 'not_there_at_all'"),
    ],
)
def test_a_failing_import_is_reported_in_one_line_and_leaves_no_module(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path, before = tmp_path / "mine.py", set(sys.modules)
    if content is not None:
        path.write_text(content)
    with pytest.raises(GoalmazeError, match=message) as error:
        load_extension(str(path))
    assert "\n" not in str(error.value)
    assert not [name for name in set(sys.modules) - before if name.startswith("goalmaze_extension")]
    assert str(path) not in loaded_extensions()


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(GoalmazeError, match=r"--import no_such\.worlds: there is no module of this name"):
        load_extension("no_such.worlds")


def test_the_options_that_import_them_are_quoted() -> None:
    assert import_flags([]) == ""
    assert import_flags(["doors.py", "my doors.py"]) == " --import doors.py --import 'my doors.py'"
    load_extension("json.tool")
    assert " --import json.tool" in import_flags()


def test_an_error_in_the_users_own_file_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("from goalmaze.envs.families import make_family\n\nmake_family('GreenExt')\n")
    with pytest.raises(GoalmazeError) as error:
        load_extension(str(path))
    assert str(error.value) == (
        f"--import {path}: unknown family 'GreenExt' (did you mean 'GreenExit'?) (line 3 of mine.py)"
    )


def test_an_error_names_the_extensions_that_are_missing() -> None:
    load_extension("json.tool")
    with (
        pytest.raises(GoalmazeError, match=r"unknown family 'X'; .*: add --import a\.py --import b, if you trust"),
        extensions_needed(["json.tool", "a.py", "b"]),
    ):
        raise GoalmazeError("unknown family 'X'")
    with pytest.raises(GoalmazeError) as error, extensions_needed(["json.tool"]):
        raise GoalmazeError("unknown family 'X'")
    assert str(error.value) == "unknown family 'X'"
