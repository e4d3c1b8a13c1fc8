"""Checkpoints: weights with all that is needed to use them, in one safetensors file; loading one never runs its code.

The file's metadata holds one JSON document (`Header`). A digest of header and tensors guards against damage.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import msgspec
import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from goalmaze.agents.files import write_atomically
from goalmaze.agents.networks import make_network
from goalmaze.agents.networks.base import Network, Shape
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.families import make_family
from goalmaze.envs.families.base import Family

FORMAT = 1
METADATA_KEY = "goalmaze"


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a checkpoint says of itself.

    Attributes:
        format: version of this layout.
        family: name of the family trained on.
        parameters: its parameters, all of them.
        network: name of the network.
        network_options: its hyperparameters, all of them.
        planes: observation planes C.
        actions: number A of actions.
        steps: environment steps trained for.
        version: of goalmaze, when written.
        digest: of all the other fields and the tensors.
    """

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
    """Write a network and the world it was trained on to `path`, whole or not at all."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    header = Header(
        format=FORMAT,
        family=family.name,
        parameters=family.parameters,
        network=network.name,
        network_options=dataclasses.asdict(network.options),
        planes=network.shape.planes,
        actions=network.shape.actions,
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
    header, tensors = _read(path)
    if _digest(header, tensors) != header.digest:
        raise GoalmazeError(f"checkpoint {path} is damaged: it does not match its digest; get it again")
    try:
        family = make_family(header.family, header.parameters)
        network = make_network(header.network, Shape(header.planes, header.actions), header.network_options)
        network.load_state_dict(tensors)
    except (RuntimeError, TypeError, GoalmazeError) as error:
        reason = str(error).splitlines()[0]
        raise GoalmazeError(f"checkpoint {path} does not fit this version of goalmaze: {reason}") from None
    if family.planes != header.planes:
        raise GoalmazeError(f"checkpoint {path}: {header.planes} planes do not fit family {family.name}")
    return network.eval(), family, header


def _read(path: Path) -> tuple[Header, dict[str, Tensor]]:
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
        if found != FORMAT:
            raise GoalmazeError(f"checkpoint {path} has format {found}, this version reads {FORMAT}; update goalmaze")
        return msgspec.json.decode(metadata[METADATA_KEY], type=Header), tensors
    except msgspec.DecodeError as error:
        raise GoalmazeError(f"checkpoint {path} has a header that cannot be read ({error}); get it again") from None


def _digest(header: Header, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.blake2b(msgspec.json.encode(msgspec.structs.replace(header, digest="")), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name].cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
