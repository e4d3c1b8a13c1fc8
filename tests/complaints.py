"""What a command says to bad input."""

import pytest

from goalmaze.experiments import cli


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line that bad input is answered by, after checking that it is one and nothing else is printed."""
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert err.startswith("goalmaze: ")
    return err
