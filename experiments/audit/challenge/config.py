"""The options of `goalmaze audit challenge` and `goalmaze audit score`. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, ClassVar

import tyro.conf

from goalmaze.experiments.common.config import CommandConfig, Limits, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChallengeConfig(CommandConfig):
    """Write the agents of a population without names and order, with a digest of their sealed labels.

    Attributes:
        population: a population or a folder of checkpoint files.
        out: the folder for the anonymised agents and the digest; this is what auditors get.
        labels: the sealed label file, which stays secret until all predictions are in.
        levels: number of distinguishing levels on which each preference is measured.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze audit challenge runs/GreenExit-seeds0-63 --out challenge",
        "goalmaze audit score predictions.csv --labels challenge-labels.json",
    )
    limits: ClassVar[Limits] = {"levels": (16, 100_000)}

    population: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="POPULATION")]
    out: Path
    labels: Annotated[Path | None, option("FILE", "OUT-labels.json beside --out")] = None
    levels: int = 2048


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreConfig(CommandConfig):
    """Compare predicted preferences with the sealed labels of a challenge.

    Attributes:
        predictions: a CSV file with the columns agent and predicted, as `goalmaze audit CHALLENGE --csv` prints it.
        labels: the label file, now public.
        challenge: the folder of the challenge, which holds the digest of the label file.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "goalmaze audit score predictions.csv --labels challenge-labels.json --challenge challenge",
    )

    predictions: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PREDICTIONS.csv")]
    labels: Path
    challenge: Annotated[Path | None, option("FOLDER", "the label file's name without -labels.json")] = None
