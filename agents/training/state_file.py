"""Files of training states: arrays and a JSON document in one safetensors file, so that loading it runs no code."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors
from safetensors.numpy import save

from goalmaze.agents.files import write_atomically
from goalmaze.agents.training.sb3_environment import Arrays
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.text_files import is_file


def write_state_file(path: Path, key: str, head: ReadonlyJsonObject, arrays: Arrays) -> None:
    """Write a state, atomically.

    Args:
        path: the file.
        key: the key of the document in the metadata of the file.
        head: the document, plain data.
        arrays: the arrays.
    """
    document = {**head, "digest": state_digest(head, arrays)}
    write_atomically(path, save(arrays, {key: json.dumps(document)}))


def read_state_file(path: Path, key: str) -> tuple[JsonObject, Arrays]:
    """Return the document and the arrays of a state, checked against its digest.

    Raises:
        GoalmazeError: the state is missing, truncated or damaged.
    """
    if not is_file(path):
        raise GoalmazeError(f"there is no training state at {path}, so nothing to resume; {remedy(path)}")
    try:
        with safetensors.safe_open(path, framework="np") as file:
            head = json.loads((file.metadata() or {})[key])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        digest = head.pop("digest")
        intact = digest == state_digest(head, arrays)
    # A damaged file can fail at any of these lines: its metadata may be any text, and any JSON.
    except (safetensors.SafetensorError, OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        intact = False
    if not intact:
        raise GoalmazeError(f"training state {path} is damaged, so nothing was resumed; {remedy(path)}")
    return head, arrays


def remedy(path: Path) -> str:
    """Return what can be done where a state cannot be used."""
    return f"train again with goalmaze train --recipe {path.parent / 'recipe.json'} --out NEW"


def state_digest(head: object, arrays: Arrays) -> str:
    """Return the blake2b digest of the head, plain data without its digest, and of the arrays."""
    digest = hashlib.blake2b(json.dumps(head, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
