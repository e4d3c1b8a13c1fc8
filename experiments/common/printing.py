"""The end of a command that is a module, not a subcommand of `goalmaze`: it prints a result, or one line of error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from goalmaze.envs.errors import GoalmazeError
from goalmaze.experiments.common.results import Result

BAD_INPUT = 2
"""Exit code of a command that was given something wrong."""


def print_result(make: Callable[[], Result], as_json: bool) -> int:
    """Print a result as tables or as one JSON object, or the error in one line; return the exit code."""
    try:
        result = make()
    except GoalmazeError as error:
        print(f"goalmaze: {error}", file=sys.stderr)
        return BAD_INPUT
    print(json.dumps(result.json()) if as_json else result.text())
    return 0
