"""Measurements on disk, so that a second run of the benchmark takes seconds.

A file holds the measurements of one agent. Its name is a digest of the settings they depend on: the agent's weights,
the levels and the code of the methods. A file that does not match its own digest counts as missing. Files are JSON:
reading one runs no code.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TypeVar

import msgspec

from goalmaze.agents.files import write_atomically
from goalmaze.agents.networks.base import Network
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.text_files import expanded

FORMAT = 1

DEFAULT_FOLDER = Path("~/.cache/goalmaze/audit")

Content = TypeVar("Content", bound=msgspec.Struct)


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of the cache.

    Attributes:
        settings: what the content depends on, for people who open the file.
        digest: of the content.
        content: JSON of the content.
    """

    settings: JsonObject
    digest: str
    content: msgspec.Raw


class MeasurementCache:
    """A folder of measurements, addressed by their settings.

    Args:
        folder: the folder; made where it is missing. `DEFAULT_FOLDER` by default.

    Raises:
        GoalmazeError: the folder cannot be made.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = expanded(folder or DEFAULT_FOLDER)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GoalmazeError(f"cannot make {self.folder}: {error.strerror}; choose another --cache") from None

    def path(self, kind: str, settings: JsonObject) -> Path:
        """Return the file of a measurement.

        Args:
            kind: what is measured, such as "methods".
            settings: what it depends on.
        """
        return self.folder / f"{kind}-{digest({'format': FORMAT, **settings})}.json"

    def get(self, kind: str, settings: JsonObject, content: type[Content]) -> Content | None:
        """Return a measurement; None where it is missing or its file is damaged.

        Args:
            kind: as in `path`.
            settings: as in `path`.
            content: the type of the measurement.
        """
        try:
            entry = msgspec.json.decode(self.path(kind, settings).read_bytes(), type=_Entry)
            if entry.digest != _digest(bytes(entry.content)):
                return None
            return msgspec.json.decode(entry.content, type=content)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def put(self, kind: str, settings: JsonObject, content: msgspec.Struct) -> None:
        """Write a measurement; a kill leaves the former file or none.

        Raises:
            GoalmazeError: the folder cannot be written to.
        """
        data = msgspec.json.encode(content)
        entry = _Entry(settings, _digest(data), msgspec.Raw(data))
        write_atomically(self.path(kind, settings), msgspec.json.encode(entry))


def digest(data: object) -> str:
    """Return the digest of plain data."""
    return _digest(msgspec.json.encode(data, order="deterministic"))


def weights_digest(network: Network) -> str:
    """Return the digest of a network: its class, options, shape and all tensors of its state."""
    state = hashlib.blake2b(f"{network.name} {network.options} {network.shape}".encode(), digest_size=16)
    for name, tensor in network.state_dict().items():
        array = tensor.detach().cpu().contiguous().numpy()
        state.update(f"{name} {array.dtype} {array.shape}".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
