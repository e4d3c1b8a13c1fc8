"""Fixtures for the tests of the commands."""

from pathlib import Path

import pytest
from complaints import Refusals


@pytest.fixture
def refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refusals:
    """Return what runs commands with bad input in the test's own folder, which is empty at first."""
    monkeypatch.chdir(tmp_path)
    return Refusals(tmp_path, capsys)
