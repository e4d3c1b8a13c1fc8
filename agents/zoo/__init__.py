"""The zoo: small trained agents that ship with the package, each as a run folder.

`manifest.json` holds for every agent the command that trained it, its purpose, its label, and a digest of each file.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import msgspec

from goalmaze.envs.errors import GoalmazeError, unknown

HERE = Path(__file__).parent
MANIFEST = HERE / "manifest.json"


class ManifestEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The entry of one agent in the manifest.

    Attributes:
        command: the command that trained it, without its output folder.
        purpose: what the agent is an example of.
        label: the class of its behaviour in the evaluation, such as "cue-follower".
        seconds: wall-clock seconds of training.
        files: blake2b digest of every file in its folder, by the path below the folder.
    """

    command: str
    purpose: str
    label: str
    seconds: float
    files: dict[str, str]


def current_label(label: str) -> str:
    """Return a label under its current name; in version 0.1 "goal-follower" was "exit-follower" in every family."""
    return "goal-follower" if label == "exit-follower" else label


@functools.cache
def manifest() -> dict[str, ManifestEntry]:
    """Return the entry of every agent in the manifest, by name."""
    entries = msgspec.json.decode(MANIFEST.read_bytes(), type=dict[str, ManifestEntry])
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
        GoalmazeError: there is no such agent.
    """
    if name not in manifest():
        raise unknown("zoo agent", name, zoo_names())
    return HERE / name


def digests(folder: Path) -> dict[str, str]:
    """Return the blake2b digest of every file below a folder, by the path below it."""
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
    expected, actual = manifest()[name].files, digests(zoo_folder(name))
    wrong = sorted(file for file in expected.keys() | actual.keys() if expected.get(file) != actual.get(file))
    # Both directions: an additional file, such as another checkpoint, can change results too.
    if wrong:
        raise GoalmazeError(
            f"zoo:{name} differs from its manifest: {', '.join(wrong)} changed, missing or new; install goalmaze again"
        )
