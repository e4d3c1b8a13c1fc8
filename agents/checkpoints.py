"""Checkpoints: weights with all that is needed to use them, in one safetensors file; loading one never runs its code.

The file's metadata holds one JSON document (`Header`). A digest of header and tensors guards against damage.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from goalmaze.agents.files import write_atomically
from goalmaze.agents.networks import known_networks, make_meta_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import ObservationSpec

FORMAT = 2
METADATA_KEY = "goalmaze"
MAX_SIZE = 255
"""The largest maze a checkpoint may be of: what it sees can then be described without much memory."""


@dataclasses.dataclass(frozen=True)
class StoredShape:
    """The shape of a network as files hold it, with the observation spec flattened; fields as in `Shape`."""

    observation: tuple[int, ...]
    actions: int
    mode: str = "planes"
    pixels: int = 8
    radius: int = 3

    def __post_init__(self) -> None:
        # Sides and actions are checked while the header is read, the observation spec only by `Header.network_shape`:
        # a file with an unknown mode is not damaged, it may come from a newer version.
        Shape(self.observation, self.actions)

    @classmethod
    def of(cls, shape: Shape) -> StoredShape:
        """Return a shape as files hold it."""
        return cls(shape.observation, shape.actions, **dataclasses.asdict(shape.spec))


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a checkpoint says of itself.

    Attributes:
        format: version of this layout.
        family: name of the family trained on.
        parameters: its parameters, all of them.
        network: name of the network.
        network_options: its hyperparameters, all of them.
        shape: of the network's input and output, with the observation mode.
        steps: environment steps trained for.
        version: of goalmaze, when written.
        digest: of all the other fields and the tensors.
    """

    format: int
    family: str
    parameters: dict[str, Any]
    network: str
    network_options: dict[str, Any]
    shape: StoredShape
    steps: int
    version: str
    digest: str = ""

    @property
    def network_shape(self) -> Shape:
        """The shape of the network; `GoalmazeError` where no such observation spec exists."""
        shape = self.shape
        return Shape(shape.observation, shape.actions, ObservationSpec(shape.mode, shape.pixels, shape.radius))


class _Header1(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header of format 1: every network saw `planes` planes of the maze, each cell one square."""

    format: int
    family: str
    parameters: dict[str, Any]
    network: str
    network_options: dict[str, Any]
    planes: int
    actions: int
    steps: int
    version: str
    digest: str = ""


class _Version(msgspec.Struct):
    """The one field that every version of the header has."""

    format: int


def save_checkpoint(path: Path, network: Network, family: Family, steps: int) -> None:
    """Write a network and the family it was trained on to `path`, whole or not at all.

    Raises:
        GoalmazeError: the network is of a class that is not registered, or `path` cannot be written.
    """
    if known_networks().get(network.name) is not type(network):
        raise GoalmazeError(
            f"a checkpoint cannot hold network {network.name}, whose class is not a registered Network: save its "
            "state_dict with torch.save"
        )
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    header = Header(
        format=FORMAT,
        family=family.name,
        parameters=family.parameters,
        network=network.name,
        network_options=dataclasses.asdict(network.options),
        shape=StoredShape.of(network.shape),
        steps=steps,
        version=importlib.metadata.version("goalmaze"),
    )
    header = msgspec.structs.replace(header, digest=_digest(header, tensors))
    write_atomically(path, save(tensors, {METADATA_KEY: msgspec.json.encode(header).decode()}))


def load_checkpoint(path: Path) -> tuple[Network, Family, Header]:
    """Read a network, its world and its header from a file that may come from anyone.

    Raises:
        GoalmazeError: the file is missing, truncated, damaged, not one of ours, or newer than this version.
    """
    written, tensors = _read(path)
    if _digest(written, tensors) != written.digest:
        raise GoalmazeError(f"checkpoint {path} is damaged: it does not match its digest; get it again")
    try:
        header = _migrated(written) if isinstance(written, _Header1) else written
        family = _family(header)
        network = network_from_tensors(header.network, header.network_shape, header.network_options, tensors)
    except (RuntimeError, TypeError, GoalmazeError) as error:
        reason = str(error).splitlines()[0]
        raise GoalmazeError(f"checkpoint {path} does not fit this version of goalmaze: {reason}") from None
    return network.eval(), family, header


def network_from_tensors(name: str, shape: Shape, options: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Network:
    """Build a network that holds given tensors; nothing large is allocated before they are known to fit.

    Raises:
        GoalmazeError: no such network or option, or the tensors are not those of the network.
    """
    network = make_meta_network(name, shape, options)
    expected = network.state_dict()
    for tensor in sorted({*expected, *tensors}):
        wanted, found = (_described(some.get(tensor)) for some in (expected, tensors))
        if wanted != found:
            raise GoalmazeError(f"tensor '{tensor}' is {found}, network {name} with its options needs {wanted}")
    network.to_empty(device="cpu")
    network.load_state_dict(tensors)
    return network


def _described(tensor: Tensor | None) -> str:
    if tensor is None:
        return "nothing"
    return f"{str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape))}"


def _family(header: Header) -> Family:
    """Return the world of a checkpoint, after checking that the network sees what there is to see in it."""
    family = make_family(header.family, header.parameters)
    if family.size > MAX_SIZE:
        raise GoalmazeError(f"size is {family.size}: a checkpoint's is at most {MAX_SIZE}")
    there = tuple(int(side) for side in header.network_shape.view(family).highest.shape)
    if header.shape.observation != there:
        seen, there_is = ("x".join(map(str, sides)) for sides in (header.shape.observation, there))
        raise GoalmazeError(
            f"observations of {seen} do not fit family {family.name} at size {family.size}, which shows {there_is} in "
            f"mode '{header.shape.mode}'"
        )
    return family


def _migrated(old: _Header1) -> Header:
    """Return the header of format 2 that says what one of format 1 says; its digest is that of the file."""
    size = make_family(old.family, old.parameters).size
    return Header(
        format=FORMAT,
        family=old.family,
        parameters=old.parameters,
        network=old.network,
        network_options=old.network_options,
        shape=StoredShape((old.planes, size, size), old.actions),
        steps=old.steps,
        version=old.version,
        digest=old.digest,
    )


def _read(path: Path) -> tuple[Header | _Header1, dict[str, Tensor]]:
    if not path.is_file():
        raise GoalmazeError(f"no checkpoint at {path}; name a run folder or zoo:NAME")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise GoalmazeError(f"checkpoint {path} is truncated or no safetensors file ({error}); get it again") from None
    if METADATA_KEY not in metadata:
        raise GoalmazeError(f"{path} is a safetensors file, but not a goalmaze checkpoint; name a run folder")
    try:
        found = msgspec.json.decode(metadata[METADATA_KEY], type=_Version).format
        if found not in (1, FORMAT):
            raise GoalmazeError(
                f"checkpoint {path} has format {found}, this version reads 1 to {FORMAT}; update goalmaze"
            )
        layout: type[Header | _Header1] = Header if found == FORMAT else _Header1
        return msgspec.json.decode(metadata[METADATA_KEY], type=layout), tensors
    except msgspec.DecodeError as error:
        raise GoalmazeError(f"checkpoint {path} has a header that cannot be read ({error}); get it again") from None


def _digest(header: Header | _Header1, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.blake2b(msgspec.json.encode(msgspec.structs.replace(header, digest="")), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
