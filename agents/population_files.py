"""Stacked checkpoints: the weights of all agents of a population in one safetensors file.

The first axis of every tensor is the agent. The metadata holds one JSON document (`PopulationHeader`), so loading a
file runs no code from it. Weights may be stored in half precision; they are loaded as float32.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from goalmaze.agents.checkpoints import FORMAT as AGENT_FORMAT
from goalmaze.agents.checkpoints import (
    POPULATION_KEY,
    Header,
    StoredShape,
    check_finite_tensors,
    digest_of,
    family_of,
    network_from_tensors,
    read_safetensors,
)
from goalmaze.agents.files import write_atomically
from goalmaze.agents.networks import known_networks
from goalmaze.agents.networks.base import Network
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family
from goalmaze.envs.text_files import is_file
from goalmaze.envs.versions import installed_version

FORMAT = 1

CACHED_FILES = 4
"""Number of stacked checkpoints that stay in memory, so that loading their agents one by one reads a file once."""


class AgentEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the header holds for one agent.

    Attributes:
        seed: its training seed.
        steps: environment steps of its training.
        parameters: the parameters of its family that differ between the agents.
        stopped: why its training stopped early; empty where it did not.
    """

    seed: int
    steps: int
    parameters: JsonObject
    stopped: str = ""


class _AnyVersion(msgspec.Struct, frozen=True):
    """The one field that the headers of all formats have."""

    format: int


class PopulationHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header of a stacked checkpoint. The order of fields is part of the format: the digest is over their JSON.

    Attributes:
        format: version of the format.
        family: name of the family that the agents were trained on.
        parameters: the parameters of the family that all agents share.
        network: name of the network.
        network_options: all hyperparameters of the network.
        shape: shape of the network's input and output, with its observation mode.
        agents: one entry for each agent, in the order of the first axis of the tensors.
        version: version of goalmaze that wrote the file.
        digest: blake2b digest of all other fields and of the tensors.
    """

    format: int
    family: str
    parameters: JsonObject
    network: str
    network_options: JsonObject
    shape: StoredShape
    agents: tuple[AgentEntry, ...]
    version: str
    digest: str = ""

    @property
    def steps(self) -> int:
        """Environment steps of the agent that was trained longest."""
        return max(agent.steps for agent in self.agents)

    def agent_header(self, number: int) -> Header:
        """Return the header of one agent; its digest is that of the file with the agent's number."""
        agent = self.agents[number]
        return Header(
            format=AGENT_FORMAT,
            family=self.family,
            parameters=self.parameters | agent.parameters,
            network=self.network,
            network_options=self.network_options,
            shape=self.shape,
            steps=agent.steps,
            version=self.version,
            digest=f"{self.digest}/{number}",
        )


@dataclasses.dataclass(frozen=True)
class StoredPopulation:
    """The content of a stacked checkpoint.

    Attributes:
        path: the file.
        header: its header.
        tensors: name in the network's `state_dict` → tensor [P, ...] in the precision of the file. They are shared by
            all readers of the file and must not be changed.
    """

    path: Path
    header: PopulationHeader
    tensors: Mapping[str, Tensor]

    def __len__(self) -> int:
        return len(self.header.agents)

    def agent(self, number: int) -> tuple[Network, Family, Header]:
        """Return the network of one agent, in evaluation mode, its family and its header.

        Raises:
            GoalmazeError: the header or the tensors do not fit this version of goalmaze.
        """
        header = self.header.agent_header(number)
        # Half precision is a matter of storage: networks compute in float32.
        tensors = {name: _single(tensor[number]) for name, tensor in self.tensors.items()}
        try:
            family = family_of(header)
            network = network_from_tensors(header.network, header.shape_for(family), header.network_options, tensors)
        except (RuntimeError, TypeError, GoalmazeError) as error:
            reason = str(error).splitlines()[0]
            raise GoalmazeError(f"checkpoint {self.path} does not fit this version of goalmaze: {reason}") from None
        return network.eval(), family, header


def stack_weights(networks: Sequence[Network]) -> dict[str, Tensor]:
    """Return the weights of P networks of one shape, name in the `state_dict` → tensor [P, ...] on the CPU."""
    states = [network.state_dict() for network in networks]
    return {name: torch.stack([state[name].detach().cpu() for state in states]) for name in states[0]}


def save_population(
    path: Path,
    tensors: Mapping[str, Tensor],
    network: Network,
    families: Sequence[Family],
    seeds: Sequence[int],
    steps: Sequence[int],
    *,
    stopped: Mapping[int, str] | None = None,
    half: bool = False,
) -> str:
    """Write the weights of P agents to a file, atomically.

    Args:
        path: the file.
        tensors: name in the network's `state_dict` → tensor [P, ...], see `stack_weights`.
        network: a network of the agents; its name, options and shape are stored.
        families: P families that differ in parameters alone.
        seeds: P training seeds.
        steps: environment steps of training of each agent.
        stopped: agent number → why its training stopped early.
        half: whether to store weights as float16, which takes half the bytes.

    Returns:
        The digest of the file.

    Raises:
        GoalmazeError: the network is of a class that is not registered, the arguments are not of P agents, a weight is
            not finite or, with `half`, too large for float16, or `path` cannot be written.
    """
    if known_networks().get(network.name) is not type(network):
        raise GoalmazeError(f"a checkpoint cannot hold network {network.name}, whose class is not a registered Network")
    stored = {name: _stored(tensor, half) for name, tensor in tensors.items()}
    check_finite_tensors(stored)
    shared, own = _split_parameters([family.parameters for family in families])
    reasons = stopped or {}
    header = PopulationHeader(
        format=FORMAT,
        family=families[0].name,
        parameters=shared,
        network=network.name,
        network_options=dataclasses.asdict(network.options),
        shape=StoredShape.of(network.shape),
        agents=tuple(
            AgentEntry(int(seed), int(count), parameters, reasons.get(number, ""))
            for number, (seed, count, parameters) in enumerate(zip(seeds, steps, own, strict=True))
        ),
        version=installed_version("goalmaze"),
    )
    reason = _mismatch(header, stored)
    if reason:
        raise GoalmazeError(f"a population cannot be saved: {reason}")
    header = msgspec.structs.replace(header, digest=digest_of(header, stored))
    write_atomically(path, save(stored, {POPULATION_KEY: msgspec.json.encode(header).decode()}))
    return header.digest


def read_population(path: Path) -> StoredPopulation:
    """Read a stacked checkpoint from a file that may come from anyone; its digest is checked once for each file.

    Raises:
        GoalmazeError: the file is missing, truncated, damaged, no stacked checkpoint, or newer than this version.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  one call for all three numbers
    except (OSError, ValueError):
        raise GoalmazeError(f"no checkpoint at {path}; name a run folder or zoo:NAME") from None
    return _read_once(path.absolute(), (status.st_mtime_ns, status.st_size, status.st_ino))


def is_population_file(path: Path) -> bool:
    """Return whether a file is a stacked checkpoint, by its metadata alone."""
    if not is_file(path):
        return False
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return POPULATION_KEY in (file.metadata() or {})
    except (safetensors.SafetensorError, OSError, ValueError):
        return False


@functools.lru_cache(maxsize=CACHED_FILES)
def _read_once(path: Path, _status: tuple[int, int, int]) -> StoredPopulation:
    """Read a file; the numbers of its status make the cache forget a file that was replaced."""
    metadata, tensors = read_safetensors(path)
    if POPULATION_KEY not in metadata:
        raise GoalmazeError(f"{path} is not the checkpoint of a population")
    try:
        # The format alone first, so that a newer header is refused as newer and not as damaged.
        version = msgspec.json.decode(metadata[POPULATION_KEY], type=_AnyVersion).format
        if version != FORMAT:
            raise GoalmazeError(f"population {path} has format {version}, this version reads {FORMAT}; update goalmaze")
        header = msgspec.json.decode(metadata[POPULATION_KEY], type=PopulationHeader)
    except (msgspec.DecodeError, RecursionError) as error:
        raise GoalmazeError(f"population {path} has a header that cannot be read ({error}); get it again") from None
    if digest_of(header, tensors) != header.digest:
        raise GoalmazeError(f"population {path} is damaged: it does not match its digest; get it again")
    reason = _mismatch(header, tensors)
    if reason:
        raise GoalmazeError(f"population {path} cannot be used: {reason}; get it again")
    return StoredPopulation(path, header, tensors)


def _mismatch(header: PopulationHeader, tensors: Mapping[str, Tensor]) -> str:
    """Return why header and tensors do not belong together; empty where they do."""
    count = len(header.agents)
    if not count:
        return "it has no agents"
    wrong = [name for name, tensor in tensors.items() if tensor.ndim < 1 or len(tensor) != count]
    return f"tensor '{wrong[0]}' does not hold {count} agents" if wrong else ""


def _split_parameters(parameters: Sequence[JsonObject]) -> tuple[JsonObject, list[JsonObject]]:
    """Return the parameters that all agents share, and for each agent those that differ."""
    first = parameters[0]
    shared = {name: value for name, value in first.items() if all(one.get(name) == value for one in parameters)}
    return shared, [{name: value for name, value in one.items() if name not in shared} for one in parameters]


def _stored(tensor: Tensor, half: bool) -> Tensor:
    """Return a tensor as it is stored: on the CPU, without gaps in memory, in half precision where asked."""
    tensor = tensor.detach().cpu()
    return (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous()


def _single(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype == torch.float16 else tensor
