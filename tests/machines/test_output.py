"""The output in other encodings, in terminals, into closed and full streams, and of errors that nobody expected."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from repository import ROOT
from small_command import PROGRAM, environment, run_small

from goalmaze.envs.errors import StopError
from goalmaze.experiments import cli
from goalmaze.experiments.common import console


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_table_is_printed_in_any_encoding(encoding: str) -> None:
    done = run_small("runs", variables={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode(encoding)
    assert ("9x9 -> 11x11" if encoding == "ascii" else "9×9 -> 11×11") in text
    assert ("“no” – ?" if encoding == "cp1252" else '"no" - ?') in text


def test_without_the_error_handler_the_same_table_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    with pytest.raises(UnicodeEncodeError):
        stream.write("→")
    monkeypatch.setattr(sys, "stdout", stream)
    console.prepare_streams()
    console.write("9×9 → 11×11 \udcff")
    assert stream.buffer.getvalue() == b"9\xd79 -> 11\xd711 ?\n"  # type: ignore[attr-defined]


def test_every_character_that_the_package_prints_has_a_substitute() -> None:
    files = [path for room in ("envs", "agents", "probes", "experiments") for path in (ROOT / room).rglob("*.py")]
    characters = {one for path in files for one in path.read_text("utf-8") if ord(one) > 127}
    # In comments and docstrings, which nobody prints.
    only_mathematics = set("ᵀ⌈⌉∏²α⊥")
    assert len(characters) > 10
    assert {one for one in characters - only_mathematics if console._ascii(one) == "?"} == set()
    assert console._ascii("日") == "?"


@contextlib.contextmanager
def terminal(columns: int) -> Iterator[tuple[int, int]]:
    """Open a terminal and yield the descriptors of its two ends."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def in_terminal(arguments: list[str], columns: int = 100, variables: dict[str, str] | None = None) -> tuple[int, str]:
    """Run the small command line in a terminal and return its exit code and what it showed."""
    with terminal(columns) as (ours, theirs):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.replace("BODY", "None"), *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment({"TERM": "xterm-256color", "PYTHONUTF8": "1", **(variables or {})}),
        )
        os.close(theirs)
        shown = b""
        # The system reports the end of a terminal whose process has gone as an error.
        with contextlib.suppress(OSError):
            while part := os.read(ours, 4096):
                shown += part
        return process.wait(timeout=60), shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("arguments", [["eval", "zoo:x", "--shfit", "y"], ["eval"]], ids=lambda words: words[-1])
def test_an_error_is_one_plain_line_in_a_terminal_too(arguments: list[str]) -> None:
    code, shown = in_terminal(arguments)
    assert code == cli.BAD_INPUT
    assert shown.startswith("goalmaze: ")
    assert shown.count("\n") == 1
    assert not re.search("[\x1b╭╰│─+|]", shown), "boxes or colours are left in the line"


def test_help_is_coloured_in_a_terminal_and_nowhere_else() -> None:
    code, shown = in_terminal(["runs", "--help"])
    assert (code, "\x1b[" in shown) == (0, True)
    piped = run_small("runs", "--help", variables={"FORCE_COLOR": "1", "CLICOLOR": "1", "TERM": "xterm-color"})
    assert b"goalmaze runs" in piped.stdout
    assert b"\x1b" not in piped.stdout


def test_a_terminal_of_three_characters_hangs_nothing() -> None:
    for arguments, variables in (
        (["runs", "--help"], {}),
        (["runs", "--help"], {"COLUMNS": "3"}),
        (["runs", "--jsno"], {}),
        (["runs"], {}),
    ):
        code, shown = in_terminal(arguments, columns=3, variables=variables)
        assert code == (cli.BAD_INPUT if "--jsno" in arguments else 0)
        assert "runs" in shown or "maze" in shown


def test_output_that_is_full_or_closed_is_one_line_and_an_exit_code() -> None:
    for arguments in (["runs"], ["runs", "--help"], ["--version"]):
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            done = run_small(*arguments, stdout=full, stderr=subprocess.PIPE)
        assert done.returncode == cli.FAILED
        assert done.stderr == b"goalmaze: cannot print the result: No space left on device\n"
    closed = run_small("runs", preexec_fn=lambda: os.close(1), stderr=subprocess.PIPE, stdout=None)
    assert closed.returncode == cli.FAILED
    assert closed.stderr == b"goalmaze: cannot print the result: standard output is closed\n"


def test_errors_without_a_standard_error_still_have_their_exit_code() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        assert run_small("runs", "--jsno", stdout=subprocess.PIPE, stderr=full).returncode == cli.BAD_INPUT
    done = run_small("runs", "--jsno", preexec_fn=lambda: os.close(2), stdout=subprocess.PIPE, stderr=None)
    assert (done.returncode, done.stdout) == (cli.BAD_INPUT, b"")


def test_files_never_get_the_number_of_a_closed_stream() -> None:
    body = "print(open('/dev/null', 'w').fileno(), file=sys.stdout)"
    done = run_small("runs", body=body, preexec_fn=lambda: os.close(2), stdout=subprocess.PIPE, stderr=None)
    assert int(done.stdout.split()[0]) > 2


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    read, written = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", PROGRAM.replace("BODY", "None"), "runs"]
    done = subprocess.run(command, stdout=written, stderr=subprocess.PIPE, env=environment({}), check=False)
    os.close(written)
    assert (done.returncode, done.stderr) == (0, b"")


def exhaust() -> None:
    exhaust()


ERRORS: dict[str, tuple[Callable[[], object], int]] = {
    "unexpected ZeroDivisionError: division by zero (test_output.py, line": (lambda: 1 / 0, cli.FAILED),
    "there is not enough memory for this": (lambda: [0] * 2**62, cli.FAILED),
    "File name too long": (lambda: Path("x" * 300).stat(), cli.BAD_INPUT),
    "No space left on device": (lambda: Path("/dev/full").write_bytes(b"1"), cli.FAILED),
    "unexpected RecursionError": (exhaust, cli.FAILED),
}
"""Words of the line → what happens, and the exit code."""


@pytest.mark.parametrize("words", ERRORS)
def test_no_error_reaches_a_person_as_a_traceback(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    happens, code = ERRORS[words]
    monkeypatch.setattr(cli, "_run", lambda _: happens())
    assert cli.main(["zoo"]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("goalmaze: ")
    assert words in err


@pytest.mark.parametrize("with_flag", [True, False])
def test_a_traceback_is_printed_where_it_is_asked_for(
    with_flag: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_run", lambda _: 1 / 0)
    if not with_flag:
        monkeypatch.setenv(cli.TRACEBACK, "1")
    assert cli.main(["zoo", *["--traceback"] * with_flag]) == cli.FAILED
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("goalmaze: unexpected ZeroDivisionError")


def test_the_page_of_the_command_line_lists_every_exit_code() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text("utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.M)}
    stopped = StopError("stopped", signal.SIGTERM).exit_code
    assert listed == {0, cli.FAILED, cli.BAD_INPUT, cli.INTERRUPTED, stopped}
    assert all(str(code) in cli.DESCRIPTION for code in listed)
