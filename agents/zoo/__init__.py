"""Small trained agents that ship with the package: one run folder each, and a manifest of what made them.

`manifest.json` names for every agent the command, what it is there for, its label, and a digest of each of its files.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import msgspec

from goalmaze.envs.errors import GoalmazeError, unknown

HERE = Path(__file__).parent
MANIFEST = HERE / "manifest.json"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the manifest says of one agent.

    Attributes:
        command: what made it, but for where it was put.
        purpose: what it is there for.
        label: what kind of agent it was found to be.
        seconds: of learning.
        files: blake2b digest of every file in its folder, by the file's name there.
    """

    command: str
    purpose: str
    label: str
    seconds: float
    files: dict[str, str]


def current_label(label: str) -> str:
    """Return an agent's label in today's words; version 0.1 wrote "exit-follower" whatever the family's goal is."""
    return "goal-follower" if label == "exit-follower" else label


@functools.cache
def manifest() -> dict[str, Entry]:
    """Return what the manifest says of every agent, by name."""
    entries = msgspec.json.decode(MANIFEST.read_bytes(), type=dict[str, Entry])
    return {name: msgspec.structs.replace(entry, label=current_label(entry.label)) for name, entry in entries.items()}


def zoo_names() -> list[str]:
    """Return the names of all agents in the zoo.

    Example:
        >>> import goalmaze as gm
        >>> "green-exit" in gm.zoo_names()
        True
    """
    return list(manifest())


def zoo_folder(name: str) -> Path:
    """Return the run folder of an agent in the zoo.

    Raises:
        GoalmazeError: no such agent.
    """
    if name not in manifest():
        raise unknown("zoo agent", name, zoo_names())
    return HERE / name


def digests(folder: Path) -> dict[str, str]:
    """Return the blake2b digest of every file below a folder, by its name there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in files
    }


def check_files(name: str) -> None:
    """Compare an agent's files with the manifest.

    Raises:
        GoalmazeError: a file is missing, changed, or not in the manifest.
    """
    wanted, found = manifest()[name].files, digests(zoo_folder(name))
    wrong = sorted(file for file in wanted.keys() | found.keys() if wanted.get(file) != found.get(file))
    if wrong:
        raise GoalmazeError(
            f"zoo:{name} is not what the manifest says: {', '.join(wrong)} changed, missing or new; install again"
        )
