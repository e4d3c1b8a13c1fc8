"""The progress of a run, with the log and the scheduled checkpoints that it has written."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from goalmaze.agents.files import append, write_atomically
from goalmaze.agents.training.checkpoint_schedule import CheckpointSchedule, scheduled_checkpoint_path
from goalmaze.agents.training.log import LOG, log_line
from goalmaze.agents.training.run_folder import RunFolder
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject


@dataclasses.dataclass
class RunProgress:
    """The progress of a run, saved with its training state.

    Attributes:
        seconds: wall-clock seconds of training, over all its parts.
        line: step count on the last line of the log.
        kept: step count when the checkpoint schedule was last checked; -1 before the first time.
        log_bytes: length of the log in bytes.
        log_digest: digest of these bytes; empty in states of earlier versions.
    """

    seconds: float = 0.0
    line: int = 0
    kept: int = -1
    log_bytes: int = 0
    log_digest: str = ""


def keep_scheduled(
    schedule: CheckpointSchedule, run: RunFolder, progress: RunProgress, steps: int, save: Callable[[Path], None]
) -> None:
    """Save a scheduled checkpoint if a step count of the schedule was reached since the last call.

    Args:
        schedule: the schedule.
        run: the run folder.
        progress: the progress of the run, which notes the call.
        steps: environment steps taken.
        save: writes the checkpoint to a file.

    Raises:
        GoalmazeError: the folder of the checkpoints cannot be made.
    """
    if schedule.is_due(max(progress.kept, 0), steps) and steps != progress.kept:
        path = scheduled_checkpoint_path(run.path, steps)
        run.check()
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise GoalmazeError(f"cannot make {path.parent}: {error.strerror}") from None
        save(path)
    progress.kept = steps


def read_progress(content: JsonObject, state: Path) -> RunProgress:
    """Return the progress of a run at its last save.

    Args:
        content: what the training state holds.
        state: its file.

    Raises:
        GoalmazeError: it is something else.
    """
    try:
        return msgspec.convert(content, RunProgress)
    except msgspec.ValidationError as error:
        raise GoalmazeError(f"training state {state} is no state of a run: {error}; train again") from None


class RunLog:
    """The log of a run under way. It counts and digests what it writes, so that a resumed run can check it.

    Args:
        folder: the run folder.
        progress: the progress of the run, whose counts change with every line.
    """

    def __init__(self, folder: RunFolder, progress: RunProgress) -> None:
        self._folder, self._progress, self._hash = folder, progress, _log_hash(b"")

    @property
    def path(self) -> Path:
        """The file."""
        return self._folder.path / LOG

    def begin(self, columns: Iterable[str]) -> None:
        """Write the line of the columns."""
        header = log_line(columns)
        self._folder.check()
        write_atomically(self.path, header)
        self._count(header)

    def go_on(self) -> None:
        """Go on with the log of a resumed run, which was cut to its length at the last save."""
        self._hash.update(self.path.read_bytes())

    def append(self, lines: bytes) -> None:
        """Append whole lines."""
        self._folder.check()
        append(self.path, lines)
        self._count(lines)

    def _count(self, lines: bytes) -> None:
        self._hash.update(lines)
        self._progress.log_bytes += len(lines)
        self._progress.log_digest = self._hash.hexdigest()


def saved_log(log: Path, progress: RunProgress) -> bytes:
    """Return a log as it was at the last save, without the lines of later rollouts.

    Raises:
        GoalmazeError: the log cannot be read, it is shorter, or it was changed.
    """
    try:
        content = log.read_bytes()
    except OSError as error:
        raise GoalmazeError(f"cannot read {log}: {error.strerror}; restore it or train again") from None
    if len(content) < progress.log_bytes:
        raise GoalmazeError(f"{log} is shorter than at the last save, so lines are lost; restore it or train again")
    saved = content[: progress.log_bytes]
    if progress.log_digest and _log_hash(saved).hexdigest() != progress.log_digest:
        raise GoalmazeError(f"{log} is not the log of this run or was changed; restore it or train again")
    return saved


def _log_hash(content: bytes) -> hashlib.blake2b:
    """Return the hash of the beginning of a log; it can be updated with further lines."""
    return hashlib.blake2b(content, digest_size=16)
