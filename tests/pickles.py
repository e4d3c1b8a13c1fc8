"""A pickle that shows whether it was run."""

import pickle
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from goalmaze.envs.errors import GoalmazeError


class LeavesTrace:
    """An object that creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def check_code_is_never_run(
    trace: Path, writers: Iterable[Callable[[], Any]], read: Callable[[], Any], message: str
) -> None:
    """Check that reading is refused, without leaving the trace, after each writer; then that unpickling leaves it."""
    for write in writers:
        write()
        with pytest.raises(GoalmazeError, match=message):
            read()
        assert not trace.exists()
    pickle.loads(pickle.dumps(LeavesTrace(trace)))
    assert trace.exists()
