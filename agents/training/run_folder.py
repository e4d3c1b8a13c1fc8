"""The folder of a run under way, and whether the path still leads to it."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from goalmaze.agents.loading import RECIPE
from goalmaze.envs.errors import GoalmazeError

ID = "id"
"""Key in the recipe file: a random name of the run, which the training state repeats."""


def new_id() -> str:
    """Return a random name for a new run."""
    return secrets.token_hex(8)


class RunFolder:
    """The folder of a run under way.

    A folder that was moved away and made anew is recognised by its recipe file, which holds the run's id. Numbers of
    inodes would not do: some network file systems change them.

    Args:
        path: the folder.

    Attributes:
        path: the folder.
        run_id: the id of the run; empty for runs of earlier versions, which have none.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._recipe = path, _content(path / RECIPE)
        try:
            self.run_id = str(json.loads((self._recipe or b"{}").decode("utf-8-sig")).get(ID, ""))
        except (ValueError, AttributeError, RecursionError):
            self.run_id = ""

    def check(self) -> None:
        """Check that the path still leads to this folder; called before every write.

        Raises:
            GoalmazeError: it does not.
        """
        if _content(self.path / RECIPE) != self._recipe:
            raise GoalmazeError(
                f"{self.path} is no longer the folder of this run: it was moved, removed or made anew, or its {RECIPE} "
                "was changed; training stopped and wrote nothing more: resume the run where its folder is now"
            )


def _content(file: Path) -> bytes | None:
    """Return the content of a file; None if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return None
