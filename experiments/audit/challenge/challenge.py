"""Challenges: anonymised agents, and a label file whose digest is published with them.

The digest is SHA-256 of the whole label file, which any tool computes. The file holds a random salt of 256 bits, so
that nobody finds the labels by hashing guesses. The salt also fixes the order of the agents.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from goalmaze.agents.checkpoints import save_checkpoint
from goalmaze.agents.files import new_folder, write_atomically, write_json
from goalmaze.agents.loading import Agent
from goalmaze.envs.errors import GoalmazeError
from goalmaze.envs.json_data import JsonObject
from goalmaze.envs.levels import Family
from goalmaze.envs.text_files import read_bytes
from goalmaze.envs.versions import installed_version
from goalmaze.experiments.audit.audit import pool_of
from goalmaze.experiments.audit.truth import LEVELS, SEED, graded_preference, preference_levels
from goalmaze.experiments.common.parallel import side_by_side
from goalmaze.experiments.common.progress import progress
from goalmaze.experiments.common.results import Result
from goalmaze.experiments.common.tables import Table
from goalmaze.experiments.evaluate.solved_levels import SolvedLevels
from goalmaze.probes.audit.pool import neutral

Content = TypeVar("Content", bound=msgspec.Struct)

FORMAT = 1
COMMITMENT = "challenge.json"
"""The file of a challenge that holds the digest of its labels."""


class AgentLabel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The label of one agent.

    Attributes:
        source: the agent's name before it was anonymised.
        preference: its measured preference for the cue.
        low: lower end of the 95 % interval over levels.
        high: upper end.
        levels: number of levels that count.
        label: goal-follower, mixed or cue-follower.
    """

    source: str
    preference: float
    low: float
    high: float
    levels: int
    label: str


class LabelFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label file.

    Attributes:
        format: version of the format.
        salt: 256 random bits, hexadecimal.
        levels: number of distinguishing levels.
        seed: seed of the levels and of the sampled actions.
        version: version of goalmaze that measured.
        agents: anonymous name → label.
    """

    format: int
    salt: str
    levels: int
    seed: int
    version: str
    agents: dict[str, AgentLabel]


class Commitment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a challenge publishes.

    Attributes:
        format: version of the format.
        labels_sha256: SHA-256 of the label file.
        agents: anonymous name → SHA-256 of its checkpoint file.
        levels: number of distinguishing levels on which preferences are measured.
        version: version of goalmaze that wrote it.
    """

    format: int
    labels_sha256: str
    agents: dict[str, str]
    levels: int
    version: str


@dataclasses.dataclass(frozen=True)
class Challenge(Result):
    """A challenge that was written.

    Attributes:
        folder: with the anonymised agents.
        labels: the label file.
        commitment: what the folder publishes.
    """

    folder: Path
    labels: Path
    commitment: Commitment

    def json(self) -> JsonObject:
        """Return the challenge as plain data, without the labels."""
        return {"folder": str(self.folder), "labels": str(self.labels), **msgspec.to_builtins(self.commitment)}

    def blocks(self) -> list[str | Table]:
        """Return what was written and what to do with it."""
        count = len(self.commitment.agents)
        return [
            f"{count} anonymised agents and the digest of their labels: {self.folder}\n"
            f"sealed labels: {self.labels}; keep this file secret until all predictions are in\n"
            f"digest (SHA-256) of the labels: {self.commitment.labels_sha256}"
        ]


def make_challenge(agents: Sequence[Agent], folder: Path, labels: Path, levels: int = LEVELS) -> Challenge:
    """Write a challenge; nothing is left behind where it fails.

    Args:
        agents: two agents or more.
        folder: for the anonymised agents and the digest; it must not exist.
        labels: the label file; it must not exist and must lie outside of the folder.
        levels: number of distinguishing levels on which preferences are measured.

    Raises:
        GoalmazeError: there are too few agents, a family cannot be audited, or a file cannot be written.
    """
    _check_paths(folder, labels)
    if len(agents) < 2:
        raise GoalmazeError(f"a challenge needs two agents or more, there is {len(agents)}: name a population")
    for one in agents:
        pool_of(one, 16)  # refuses families that cannot be audited
    salt = secrets.token_hex(32)
    measured = _measured(agents, levels)
    order = sorted(range(len(agents)), key=lambda i: hashlib.sha256(f"{salt}/{i}".encode()).digest())
    digits = len(str(len(agents) - 1))
    names = {f"agent-{place:0{digits}}": i for place, i in enumerate(order)}
    sealed = LabelFile(
        FORMAT, salt, levels, SEED, installed_version("goalmaze"), {name: measured[i] for name, i in names.items()}
    )
    content = msgspec.json.format(msgspec.json.encode(sealed), indent=1) + b"\n"
    with new_folder(folder) as temporary:
        digests = {}
        for name, i in names.items():
            path = temporary / f"{name}.safetensors"
            # No steps, and no parameters that say how the agent was trained.
            save_checkpoint(path, agents[i].network, neutral(agents[i].family), 0)
            digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        commitment = Commitment(FORMAT, hashlib.sha256(content).hexdigest(), digests, levels, sealed.version)
        write_json(temporary / COMMITMENT, msgspec.to_builtins(commitment))
        write_atomically(labels, content)
        labels.chmod(0o600)
    return Challenge(folder, labels, commitment)


def _check_paths(folder: Path, labels: Path) -> None:
    for path, flag in ((folder, "--out"), (labels, "--labels")):
        if os.path.lexists(path):
            raise GoalmazeError(f"{path} already exists; choose another {flag} or remove it")
    if folder.resolve() in labels.resolve().parents:
        raise GoalmazeError(f"--labels {labels} lies in the folder that auditors get: choose another place")
    if not labels.resolve().parent.is_dir():
        raise GoalmazeError(f"--labels {labels}: there is no folder {labels.parent}; make it first")


def _measured(agents: Sequence[Agent], levels: int) -> list[AgentLabel]:
    solved: dict[Family, SolvedLevels] = {}
    for one in agents:
        family = neutral(one.family)
        if family not in solved:
            solved[family] = SolvedLevels.of(preference_levels(family, levels))

    def measure(agent: Agent) -> AgentLabel:
        found = graded_preference(agent, solved[neutral(agent.family)])
        if not found.rate.levels:
            raise GoalmazeError(f"{agent.name} reaches neither goal nor cue on any level: it has no preference")
        rate = found.rate
        return AgentLabel(agent.name, rate.value, rate.low, rate.high, rate.levels, found.label)

    return [one for one, _ in zip(side_by_side(measure, agents), progress(agents, "measuring", "agent"), strict=True)]


def read_labels(labels: Path, folder: Path) -> LabelFile:
    """Read a label file and check it against the digest that its challenge published.

    Raises:
        GoalmazeError: a file is missing or damaged, or the label file is not the one that was sealed.
    """
    content = _read(labels, "labels")
    commitment = _decoded(_read(folder / COMMITMENT, "challenge"), Commitment, folder / COMMITMENT)
    digest = hashlib.sha256(content).hexdigest()
    if digest != commitment.labels_sha256:
        raise GoalmazeError(
            f"{labels} is not the label file that was sealed: its SHA-256 is {digest[:16]}..., the challenge published "
            f"{commitment.labels_sha256[:16]}..."
        )
    sealed = _decoded(content, LabelFile, labels)
    if set(sealed.agents) != set(commitment.agents):
        raise GoalmazeError(f"{labels} and {folder} are of different agents")
    return sealed


def _read(path: Path, what: str) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        hint = "; name the folder with --challenge" if what == "challenge" else ""
        raise GoalmazeError(f"cannot read {path}: {error.strerror}{hint}") from None


def _decoded(content: bytes, kind: type[Content], path: Path) -> Content:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise GoalmazeError(f"{path} is no file of a challenge: {error}") from None
