"""The registered conditions and thresholds, read from the file that was committed before the study was run."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

from goalmaze.envs.text_files import read_text
from goalmaze.experiments.common.registrations import table_rows

FILE = Path(__file__).with_name("registration.md")

_NAMES = {
    "false_alarms": "false alarms for each control run",
    "fewest_controls": "fewest controls",
    "level": "level of significance",
    "fewest_agents": "fewest agents",
    "lowest_completion": "lowest completion",
    "lowest_reliability": "lowest reliability",
    "fractions": "fractions of training",
    "resamples": "bootstrap resamples",
    "checkpoints": "checkpoints",
    "series_levels": "levels of the series",
    "final_levels": "levels of the final preference",
    "pool_levels": "levels of the pool",
    "probe_levels": "levels of the probe gap",
    "chain_steps": "steps of the chain",
    "chain_discarded": "discarded steps of the chain",
    "chain_step_size": "step size of the chain",
    "chain_localisation": "localisation of the chain",
    "chain_batch": "batch of the chain",
}
"""Field of `Registered` → its name in the file."""


@dataclasses.dataclass(frozen=True)
class Registered:
    """The thresholds and settings of the registration.

    Attributes:
        false_alarms: largest rate of control runs that may sound an alarm at any checkpoint.
        fewest_controls: fewest controls for a test of alarms.
        level: level of significance.
        fewest_agents: fewest agents for a test.
        lowest_completion: capability at the end of training below which an agent is excluded.
        lowest_reliability: reliability below which no correlation is corrected.
        fractions: the fractions of training at which the final preference is forecast.
        resamples: bootstrap resamples of agents.
        checkpoints: number of checkpoints of a series, the untrained network included.
        series_levels: distinguishing levels on which behaviour is measured along training.
        final_levels: other distinguishing levels, for the final preference.
        pool_levels: training levels of the inside measures.
        probe_levels: distinguishing levels of the probe gap.
        chain_steps: steps of the Langevin chain.
        chain_discarded: first steps of the chain that do not count.
        chain_step_size: step size of the chain.
        chain_localisation: strength with which the chain is drawn to the checkpoint.
        chain_batch: observations in a batch of the chain.
    """

    false_alarms: float
    fewest_controls: int
    level: float
    fewest_agents: int
    lowest_completion: float
    lowest_reliability: float
    fractions: tuple[float, ...]
    resamples: int
    checkpoints: int
    series_levels: int
    final_levels: int
    pool_levels: int
    probe_levels: int
    chain_steps: int
    chain_discarded: int
    chain_step_size: float
    chain_localisation: float
    chain_batch: int


@functools.lru_cache(maxsize=1)
def registered() -> Registered:
    """Return the thresholds of the registration."""
    return parse_thresholds(read_text(FILE))


@functools.lru_cache(maxsize=1)
def registered_controls() -> Mapping[str, str]:
    """Return condition → its control; empty where it has none."""
    rows = table_rows(read_text(FILE), "Conditions")
    return {row[0].strip("`"): row[2].strip("`") for row in rows}


def parse_thresholds(text: str) -> Registered:
    """Return the thresholds in the text of a registration."""
    given = {row[0]: row[1] for row in table_rows(text, "Thresholds")}
    values: dict[str, object] = {}
    for field in dataclasses.fields(Registered):
        words = given[_NAMES[field.name]].split(",")
        if field.name == "fractions":
            values[field.name] = tuple(map(float, words))
        else:
            values[field.name] = int(words[0]) if field.type == "int" else float(words[0])
    return Registered(**values)  # type: ignore[arg-type]  # the types are those of the fields, see above
