"""Standard output and standard error on any machine: of another encoding, closed, full, or a terminal of any width."""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import TextIO

SUBSTITUTES = {
    "─": "-",
    "│": "|",
    "╭": "+",
    "╮": "+",
    "╰": "+",
    "╯": "+",
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "·": ".",
    "•": "*",
    "…": "...",
    "≤": "<=",
    "≥": ">=",
    "±": "+/-",
    "→": "->",
    "←": "<-",
    "↑": "^",
    "↓": "v",
    "≈": "~",
    "µ": "u",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "β": "beta",
    "γ": "gamma",
    "ε": "epsilon",
    "φ": "phi",
    "λ": "lambda",
    "σ": "sigma",
    "Δ": "delta",
    "∇": "grad",
    "●": "o",
    "◎": "O",
    "■": "#",
    "█": "#",
    "◆": "+",
    "★": "*",
    "▲": "^",
}
"""Characters of tables and messages, and what stands for them where an encoding does not have them."""

TRANSLITERATE = "goalmaze.transliterate"
"""The name of the error handler of codecs that replaces characters which an encoding does not have."""


class OutputError(Exception):
    """Standard output takes nothing, because it is closed or its disk is full."""


class TerminalText(io.StringIO):
    """Text that is captured for later, laid out as for the true standard output."""

    encoding = "utf-8"

    def __init__(self, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def isatty(self) -> bool:
        """Return whether colours are wanted; libraries ask this before they write them."""
        return self._coloured


def prepare_streams() -> None:
    """Make standard output and error take any text, and keep the numbers of closed ones from files opened later."""
    codecs.register_error(TRANSLITERATE, _transliterate)
    for stream in (sys.stdout, sys.stderr):
        # Streams of tests and notebooks may be of other classes, which take any text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=TRANSLITERATE)
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one. Otherwise a checkpoint could get it, and messages would go into it.
            os.open(os.devnull, os.O_RDWR)
    # Python has None for a stream that is closed. Progress bars and warnings need an object, `write` tells the user.
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  open until the process ends


def write(text: str) -> None:
    """Print a result to standard output. A reader that has closed its end has read enough, which is no error.

    Raises:
        OutputError: standard output is closed, or its disk is full.
    """
    try:
        if sys.stdout is None:
            raise OSError(errno.EBADF, "standard output is closed")
        print(text, flush=True)
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        raise OutputError(f"cannot print the result: {error.strerror}") from None


def complain(message: str) -> None:
    """Print one line to standard error, if that is possible; the exit code says the rest."""
    try:
        print(f"goalmaze: {' '.join(message.split())}", file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


@contextlib.contextmanager
def layout_width(width: int) -> Iterator[None]:
    """Make libraries lay out text for a terminal of `width` characters inside the context."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def _transliterate(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_ascii(character) for character in error.object[error.start : error.end]), error.end


def _ascii(character: str) -> str:
    if character in SUBSTITUTES:
        return SUBSTITUTES[character]
    # An accented letter without its accent, and a question mark for letters that have no such form.
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain if plain.isalnum() else "?"


def _discard(stream: TextIO | None) -> None:
    """Send what a stream still holds nowhere; Python would fail on it once more when the process ends."""
    if stream is None:
        return
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
