"""The zoo: small trained agents that ship with the package, each as a run folder.

`manifest.json` holds for every agent the command that trained it, its purpose, and a digest of each file.
`populations.json` holds the same for every population: many agents of one recipe, in one folder with stacked files.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path, PurePosixPath

import msgspec

from goalmaze.envs.errors import GoalmazeError, unknown
from goalmaze.envs.text_files import read_bytes

HERE = Path(__file__).parent
MANIFEST, POPULATIONS = HERE / "manifest.json", HERE / "populations.json"


class ManifestEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The entry of one agent or population in its manifest.

    Attributes:
        command: the command that trained it, without its output folder.
        purpose: what the agent is an example of.
        seconds: wall-clock seconds of training; of a population, the sum over its agents.
        files: blake2b digest of every file in its folder, by the path below the folder.
    """

    command: str
    purpose: str
    seconds: float
    files: dict[str, str]


def current_label(label: str) -> str:
    """Return a label under its current name; in version 0.1 "goal-follower" was "exit-follower" in every family."""
    return "goal-follower" if label == "exit-follower" else label


@functools.cache
def manifest() -> dict[str, ManifestEntry]:
    """Return the entry of every agent in the manifest, by name."""
    return read_manifest(MANIFEST)


def read_manifest(path: Path) -> dict[str, ManifestEntry]:
    """Return the entry of every agent in a manifest, by name.

    Raises:
        GoalmazeError: the file cannot be read, or it is no manifest.
    """
    try:
        return msgspec.json.decode(read_bytes(path), type=dict[str, ManifestEntry])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GoalmazeError(f"the manifest {path} cannot be read ({error}); install goalmaze again") from None


@functools.cache
def population_manifest() -> dict[str, ManifestEntry]:
    """Return the entry of every population in the manifest of populations, by name."""
    return read_manifest(POPULATIONS) if POPULATIONS.is_file() else {}


def population_names() -> list[str]:
    """Return the names of all populations in the zoo."""
    return list(population_manifest())


def entry_of(name: str) -> ManifestEntry:
    """Return the entry of an agent or population in the zoo.

    Raises:
        GoalmazeError: there is neither.
    """
    entries = manifest() | population_manifest()
    if name not in entries:
        raise unknown("zoo agent", name, entries)
    return entries[name]


def zoo_names() -> list[str]:
    """Return the names of all single agents in the zoo.

    Example:
        >>> import goalmaze as gm
        >>> "green-exit" in gm.zoo_names()
        True
    """
    return list(manifest())


def zoo_folder(name: str) -> Path:
    """Return the run folder of an agent or population in the zoo.

    Raises:
        GoalmazeError: there is neither.
    """
    entry_of(name)
    return HERE / name


def digests(folder: Path) -> dict[str, str]:
    """Return the blake2b digest of every file below a folder, by the path below it; hidden files are left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {
        path.relative_to(folder).as_posix(): hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        for path in files
    }


def check_files(name: str) -> None:
    """Compare the files of an agent or population with its manifest.

    Raises:
        GoalmazeError: a file of the manifest is missing or changed, or there is a checkpoint that it does not list.
    """
    expected, actual = entry_of(name).files, digests(zoo_folder(name))
    # Systems and editors leave files of their own, such as .DS_Store, which nothing reads. Checkpoints are read.
    new = [file for file in actual.keys() - expected.keys() if _is_checkpoint(file)]
    wrong = sorted([*new, *(file for file in expected if expected[file] != actual.get(file))])
    if wrong:
        raise GoalmazeError(
            f"zoo:{name} differs from its manifest: {', '.join(wrong)} changed, missing or new; install goalmaze again"
        )


def _is_checkpoint(file: str) -> bool:
    """Return whether a file, by its path below a run folder, is read as a checkpoint."""
    return PurePosixPath(file).suffix == ".safetensors"
