"""What a command answers to bad input."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from goalmaze.experiments import cli


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line that answers bad input, after checking that it is one line and nothing else is printed."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("goalmaze: ")
    return err


def words_of_case(value: Any) -> str:
    """Return the id of a parametrised case: the words of each of its lists."""
    return " ".join(value) if isinstance(value, list) else ""


class Refusals:
    """Runs commands with bad input inside a folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def _content(self) -> dict[str, bytes | None]:
        return {path.name: path.read_bytes() if path.is_file() else None for path in self.folder.rglob("*")}

    def check(self, arguments: Sequence[str], words: Sequence[str]) -> None:
        """Check that a command answers with one line that contains these words, and that the folder stays as it is."""
        before = self._content()
        answer = complaint(self.capsys, *arguments)
        for word in words:
            assert word in answer
        assert self._content() == before
