"""The error for people, which names the thing that is wrong and the remedy, and the one of stopped work."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class GoalmazeError(ValueError):
    """Bad input from outside: a level, a parameter, a name or a file. The command line prints it as one line.

    Example:
        >>> import goalmaze as gm
        >>> try:
        ...     gm.family("GreenExt")
        ... except gm.GoalmazeError as error:
        ...     print(error)
        unknown family 'GreenExt' (did you mean 'GreenExit'?)
    """


def location(error: BaseException, file: str | None = None) -> str:
    """Return where an error was raised, such as " (line 3 of doors.py)"; "" where that is not known.

    Args:
        error: the error.
        file: look only at lines of this file, such as the user's own; at all lines where None.
    """
    # Imported here for the same reason as `difflib` below.
    import traceback

    frames = [one for one in traceback.extract_tb(error.__traceback__) if file in (None, one.filename)]
    return f" (line {frames[-1].lineno} of {Path(frames[-1].filename).name})" if frames else ""


class StopError(KeyboardInterrupt):
    """A signal stopped the work, and what was done is saved.

    Args:
        message: what was stopped, and how to continue.
        signal_number: the signal.

    Attributes:
        exit_code: the exit code of the command, 128 more than the signal: 130 for SIGINT (Ctrl-C), 143 for SIGTERM.
    """

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


def unknown(what: str, name: str, known: Iterable[str]) -> GoalmazeError:
    """Return the error for a `name` that is none of the `known` ones, with the closest one suggested."""
    # Imported here, because every command imports this module and few have an unknown name to report.
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"known: {', '.join(names)}"
    return GoalmazeError(f"unknown {what} '{name}' ({hint})")
