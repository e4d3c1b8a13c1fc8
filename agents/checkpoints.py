"""Checkpoints: the weights of a network and what is needed to use them, in one safetensors file.

A file holds tensors and, in its metadata, one JSON document (`Header`). Loading a file therefore runs no code from it,
whoever wrote it. A digest of header and tensors shows whether it is damaged.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

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
from goalmaze.envs.json_data import JsonObject, ReadonlyJsonObject
from goalmaze.envs.levels import Family
from goalmaze.envs.observations.spec import ObservationSpec
from goalmaze.envs.text_files import is_file
from goalmaze.envs.versions import installed_version

FORMAT = 2
METADATA_KEY = "goalmaze"
POPULATION_KEY = "goalmaze_population"
"""Key in the metadata of a file that holds several agents, see `goalmaze.agents.population_files`."""


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


class _AnyVersion(msgspec.Struct, frozen=True):
    """The one field that the headers of all formats have, earlier and later ones."""

    format: int


class _AnyHeader(_AnyVersion, frozen=True, forbid_unknown_fields=True):
    """The first fields of formats 1 and 2. The order of fields is part of a format: the digest is over their JSON."""

    family: str
    parameters: JsonObject
    network: str
    network_options: JsonObject


class Header(_AnyHeader, frozen=True, forbid_unknown_fields=True):
    """The header of a checkpoint, in format 2.

    Attributes:
        format: version of the format.
        family: name of the family that the network was trained on.
        parameters: all parameters of the family.
        network: name of the network.
        network_options: all hyperparameters of the network.
        shape: shape of the network's input and output, with its observation mode.
        steps: environment steps of training.
        version: version of goalmaze that wrote the checkpoint.
        digest: blake2b digest of all other fields and of the tensors.
    """

    shape: StoredShape
    steps: int
    version: str
    digest: str = ""

    @property
    def network_shape(self) -> Shape:
        """The shape of the network.

        Raises:
            GoalmazeError: there is no such observation mode, or its options are out of range.
        """
        shape = self.shape
        return Shape(shape.observation, shape.actions, ObservationSpec(shape.mode, shape.pixels, shape.radius))

    def shape_for(self, family: Family) -> Shape:
        """Return the shape of the network with the sides of the levels of its family."""
        return dataclasses.replace(self.network_shape, level=family.size)


class CheckpointIdentity(NamedTuple):
    """Which checkpoint a file holds.

    Attributes:
        steps: environment steps of training.
        digest: digest of its header and tensors.
    """

    steps: int
    digest: str


class _Header1(_AnyHeader, frozen=True, forbid_unknown_fields=True):
    """The header of format 1, in which every network took `planes` planes of the maze, one value for each cell."""

    planes: int
    actions: int
    steps: int
    version: str
    digest: str = ""


def save_checkpoint(path: Path, network: Network, family: Family, steps: int) -> None:
    """Write a network and the family it was trained on to a file, atomically.

    Args:
        path: the file.
        network: the network.
        family: the family.
        steps: environment steps of training.

    Raises:
        GoalmazeError: the network is of a class that is not registered, a weight is not finite, or `path` cannot be
            written.
    """
    if known_networks().get(network.name) is not type(network):
        raise GoalmazeError(
            f"a checkpoint cannot hold network {network.name}, whose class is not a registered Network: save its "
            "state_dict with torch.save"
        )
    # safetensors refuses tensors with gaps in memory.
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    check_finite_tensors(tensors)
    header = Header(
        format=FORMAT,
        family=family.name,
        parameters=family.parameters,
        network=network.name,
        network_options=dataclasses.asdict(network.options),
        shape=StoredShape.of(network.shape),
        steps=steps,
        version=installed_version("goalmaze"),
    )
    header = msgspec.structs.replace(header, digest=digest_of(header, tensors))
    write_atomically(path, save(tensors, {METADATA_KEY: msgspec.json.encode(header).decode()}))


def load_checkpoint(path: Path) -> tuple[Network, Family, Header]:
    """Read a network, in evaluation mode, its family and its header from a file that may come from anyone.

    Raises:
        GoalmazeError: the file is missing, truncated, damaged, no checkpoint of goalmaze, or newer than this version.
    """
    written, tensors = _read_checked(path)
    try:
        header = _migrated(written) if isinstance(written, _Header1) else written
        family = family_of(header)
        network = network_from_tensors(header.network, header.shape_for(family), header.network_options, tensors)
    except (RuntimeError, TypeError, GoalmazeError) as error:
        reason = str(error).splitlines()[0]
        raise GoalmazeError(f"checkpoint {path} does not fit this version of goalmaze: {reason}") from None
    return network.eval(), family, header


def read_identity(path: Path) -> CheckpointIdentity:
    """Return which checkpoint a file holds, without building its network.

    Raises:
        GoalmazeError: the file is missing, truncated, damaged, no checkpoint of goalmaze, or newer than this version.
    """
    header, _ = _read_checked(path)
    return CheckpointIdentity(header.steps, header.digest)


def is_checkpoint_of(path: Path, network: Network, family: Family, steps: int) -> bool:
    """Return whether a file is an intact checkpoint of a network on a family after `steps` steps."""
    try:
        stored, stored_family, header = load_checkpoint(path)
    except GoalmazeError:
        return False
    expected, tensors = network.state_dict(), stored.state_dict()
    return (
        (header.steps, stored_family, stored.name) == (steps, family, network.name)
        and expected.keys() == tensors.keys()
        and all(torch.equal(tensors[name], tensor.cpu()) for name, tensor in expected.items())
    )


def network_from_tensors(
    name: str, shape: Shape, options: ReadonlyJsonObject, tensors: Mapping[str, Tensor]
) -> Network:
    """Build a network that holds given tensors.

    Args:
        name: name of the network.
        shape: shape of its input and output.
        options: its hyperparameters.
        tensors: its tensors, by their names in the network's `state_dict`.

    Raises:
        GoalmazeError: no such network or option, the tensors are not those of the network, or a number is not finite.
    """
    # Without memory at first: a forged header could otherwise claim a network that fills it.
    network = make_meta_network(name, shape, options)
    expected = network.state_dict()
    for tensor in sorted({*expected, *tensors}):
        needed, given = (_described(one.get(tensor)) for one in (expected, tensors))
        if needed != given:
            raise GoalmazeError(f"tensor '{tensor}' is {given}, network {name} with its options needs {needed}")
    check_finite_tensors(tensors)
    network.to_empty(device="cpu")
    network.load_state_dict(tensors)
    return network


def check_finite_tensors(tensors: Mapping[str, Tensor]) -> None:
    """Raise `GoalmazeError` if a number is NaN or infinite: such a network acts by no rule at all."""
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise GoalmazeError(
                f"tensor '{name}' holds numbers that are not finite; take weights from before they diverged"
            )


def _described(tensor: Tensor | None) -> str:
    """Return a tensor's type and shape, such as "float32 16x4x3x3"."""
    if tensor is None:
        return "nothing"
    return f"{str(tensor.dtype).removeprefix('torch.')} {'x'.join(map(str, tensor.shape))}"


def family_of(header: Header) -> Family:
    """Return the family of a checkpoint, after checking that its observations have the shape that the network takes.

    Raises:
        GoalmazeError: there is no such family or parameter, its mazes are too large, or the shapes differ.
    """
    family = make_family(header.family, header.parameters)
    drawn = tuple(int(side) for side in header.network_shape.view(family).highest.shape)
    if header.shape.observation != drawn:
        expected, given = ("x".join(map(str, sides)) for sides in (header.shape.observation, drawn))
        raise GoalmazeError(
            f"observations of {expected} do not fit family {family.name} at size {family.size}, whose observations are "
            f"{given} in mode '{header.shape.mode}'"
        )
    return family


def _migrated(old: _Header1) -> Header:
    """Return a header of format 1 in format 2. It keeps the digest of the file, which is over the old header."""
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


def _read_checked(path: Path) -> tuple[Header | _Header1, dict[str, Tensor]]:
    """Return the header as it was written, and the tensors, after comparing both with the digest.

    Raises:
        GoalmazeError: as `_read`, or the file is damaged.
    """
    header, tensors = _read(path)
    # The digest is that of the header as it was written, so it is checked before the header is migrated.
    if digest_of(header, tensors) != header.digest:
        raise GoalmazeError(f"checkpoint {path} is damaged: it does not match its digest; get it again")
    return header, tensors


def read_safetensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the tensors of a safetensors file.

    Raises:
        GoalmazeError: the file is missing, truncated, or no safetensors file.
    """
    if not is_file(path):
        raise GoalmazeError(f"no checkpoint at {path}; name a run folder or zoo:NAME")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise GoalmazeError(f"checkpoint {path} is truncated or no safetensors file ({error}); get it again") from None


def _read(path: Path) -> tuple[Header | _Header1, dict[str, Tensor]]:
    """Return the header as it was written, and the tensors.

    Raises:
        GoalmazeError: the file is missing, truncated, no checkpoint of one agent, or of an unknown format.
    """
    metadata, tensors = read_safetensors(path)
    if POPULATION_KEY in metadata:
        raise GoalmazeError(f"{path} holds a population of agents; name one of them, such as {path}/0")
    if METADATA_KEY not in metadata:
        raise GoalmazeError(f"{path} is a safetensors file, but not a goalmaze checkpoint; name a run folder")
    try:
        # The format alone first, so that a newer header is refused as newer and not as damaged.
        version = msgspec.json.decode(metadata[METADATA_KEY], type=_AnyVersion).format
        if version not in (1, FORMAT):
            raise GoalmazeError(
                f"checkpoint {path} has format {version}, this version reads 1 to {FORMAT}; update goalmaze"
            )
        header_type: type[Header | _Header1] = Header if version == FORMAT else _Header1
        return msgspec.json.decode(metadata[METADATA_KEY], type=header_type), tensors
    except msgspec.DecodeError as error:
        raise GoalmazeError(f"checkpoint {path} has a header that cannot be read ({error}); get it again") from None


def digest_of(header: msgspec.Struct, tensors: Mapping[str, Tensor]) -> str:
    """Return the digest of a header, without its own `digest`, and of the tensors with their types and shapes."""
    digest = hashlib.blake2b(msgspec.json.encode(msgspec.structs.replace(header, digest="")), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        # As bytes, since numpy has no bfloat16.
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
