"""Which method of explaining may be trusted for an agent, by the benchmark that is shipped.

`benchmarked.json` holds the rows of `goalmaze explain --benchmark --json`, without curves.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.resources

import msgspec

from goalmaze.experiments.common.records import Record

COMMAND = "goalmaze explain --benchmark"
"""The command whose rows are shipped."""


class Benchmarked(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one agent in the shipped benchmark; see `MethodRow`."""

    agent: str
    method: str
    kind: str
    auroc: float
    low: float
    high: float
    decisions: int
    trusted: bool


class _File(msgspec.Struct, frozen=True, kw_only=True):
    rows: tuple[Benchmarked, ...]


@functools.cache
def benchmarked() -> tuple[Benchmarked, ...]:
    """Return the rows of the shipped benchmark."""
    text = importlib.resources.files("goalmaze.experiments.explain").joinpath("benchmarked.json").read_bytes()
    return msgspec.json.decode(text, type=_File).rows


@dataclasses.dataclass(frozen=True)
class Trust(Record):
    """What the benchmark says of a method for an agent.

    Attributes:
        method: the method.
        trusted: whether it may be trusted for the agent; None where that was not measured.
        text: the same in a sentence.
    """

    method: str
    trusted: bool | None
    text: str


def best_methods(agent: str) -> list[str]:
    """Return the methods that may be trusted for an agent, the one with the highest AUROC first."""
    rows = [row for row in benchmarked() if row.agent == agent and row.trusted]
    return [row.method for row in sorted(rows, key=lambda row: -row.auroc)]


def trust_of(agent: str, method: str) -> Trust:
    """Return what the benchmark says of a method for an agent, by the name under which it was loaded."""
    row = next((row for row in benchmarked() if (row.agent, row.method) == (agent, method)), None)
    if row is None:
        text = f"No benchmark of {method} on {agent} is shipped, so nothing says that it may be trusted; "
        return Trust(method, None, f"{text}`goalmaze explain {agent} --benchmark` measures it.")
    scores = (
        f"AUROC {row.auroc:.2f} [{row.low:.2f}, {row.high:.2f}] for which change of the level flips the action, "
        f"{row.decisions} decisions"
    )
    if row.trusted:
        return Trust(method, True, f"By the benchmark, {method} may be trusted for {agent}: {scores}.")
    others = best_methods(agent)
    instead = f"use {' or '.join(others)}" if others else f"and no other method may be trusted for {agent}"
    return Trust(method, False, f"By the benchmark, {method} may not be trusted for {agent} ({scores}); {instead}.")
