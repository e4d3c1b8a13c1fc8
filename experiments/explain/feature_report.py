"""The result of `goalmaze explain --features`: one table of sparse features and their controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Number, Table, formatted
from goalmaze.experiments.statistics.intervals import Rate

NAN = float("nan")


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureRow(Record):
    """One dictionary at one site. Intervals are over evaluation mazes.

    Attributes:
        dictionary: "sae relu" and "sae topk", each also "untrained"; "channels", which are single entries in both
            directions; "samples", with which training starts; "random"; "probes"; or "constant", the prediction that
            every concept always holds.
        site: the site.
        side: rows and columns of its windows; 1 for vectors.
        features: number of features.
        f1: mean over concepts of the F1 of the best single feature, chosen on fitting mazes.
        low: lower end of its interval.
        high: upper end.
        concepts: concept → F1; NaN where it occurs too rarely.
        over_channels: F1 minus that of channels.
        over_channels_low: lower end of its interval.
        over_channels_high: upper end.
        over_untrained: F1 minus that of the same autoencoder of an untrained network.
        over_untrained_low: lower end of its interval.
        over_untrained_high: upper end.
        explained: fraction of variance that an autoencoder reconstructs on evaluation mazes.
        active: mean number of features above 0.
        dead: fraction of features that are 0 on all evaluation samples.
        stability: mean largest cosine with the features of another seed; features that are dead do not count.
        steered: rate of success of the best feature, see `Reference`; None where it was not tried.
        strength: of that edit, chosen on fitting mazes.
    """

    dictionary: str
    site: str
    side: int
    features: int = 0
    f1: float = NAN
    low: float = NAN
    high: float = NAN
    concepts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    over_channels: float = NAN
    over_channels_low: float = NAN
    over_channels_high: float = NAN
    over_untrained: float = NAN
    over_untrained_low: float = NAN
    over_untrained_high: float = NAN
    explained: float = NAN
    active: float = NAN
    dead: float = NAN
    stability: float = NAN
    steered: Rate | None = None
    strength: float | None = None

    def mean(self, words: Sequence[str]) -> float:
        """Return the mean F1 of the concepts whose names begin with one of some words; NaN without any."""
        known = [f1 for name, f1 in self.concepts.items() if name.startswith(tuple(words)) and not np.isnan(f1)]
        return float(np.mean(known)) if known else NAN


@dataclasses.dataclass(frozen=True)
class Reference(Record):
    """What setting a feature at one site is compared with.

    At a map the feature is set around a random target as around a goal, and success is reaching the target before the
    goal. At a vector the features of "the first step is A" are set, and success is that A becomes the likeliest action.

    Attributes:
        site: the site.
        side: rows and columns of its windows; 1 for vectors.
        unedited: rate of success without an edit.
        moved: with goal and cue really there.
    """

    site: str
    side: int
    unedited: Rate
    moved: Rate


@dataclasses.dataclass(frozen=True)
class FeatureReport(Result):
    """Dictionaries of an agent.

    Attributes:
        header: what was measured on; its levels are the evaluation mazes.
        fit_levels: number of fitting mazes.
        objects: the names of goal and cue.
        rows: the dictionaries.
        references: what setting features is compared with, at each site where it was tried.
        pictures: the files drawn.
    """

    header: ResultHeader
    fit_levels: int
    objects: tuple[str, ...]
    rows: tuple[FeatureRow, ...]
    references: tuple[Reference, ...]
    pictures: tuple[Path, ...] = ()

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header.json(),
            "fit_levels": self.fit_levels,
            "rows": [row.json() for row in self.rows],
            "references": [one.json() for one in self.references],
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return what was measured, the table, and what setting features is compared with."""
        return [
            f"{self.header.agent}: F1 of the best single feature for each concept, chosen on {self.fit_levels} mazes "
            f"and scored on {self.header.levels} others; intervals over mazes",
            self.table(),
            *(
                f"{one.site} {_window(one.side)}: success of setting features: unedited {one.unedited}, with goal and "
                f"cue really there {one.moved}"
                for one in self.references
            ),
            *(f"picture: {path}" for path in self.pictures),
        ]

    def table(self) -> Table:
        """Return the table of dictionaries."""
        groups = (tuple(f"{kind} here" for kind in self.objects), ("wall", "dead", "junction"), ("first", "on a"))
        headers = ["site", "dictionary", "features", "F1", "over channels", "over untrained"]
        headers += ["objects", "walls", "paths", "explained", "active", "dead", "stability", "steered"]
        rows = [
            [
                f"{row.site} {_window(row.side)}",
                row.dictionary,
                row.features or "-",
                f"{row.f1:.2f} [{row.low:.2f}, {row.high:.2f}]",
                _with_ends(row.over_channels, row.over_channels_low, row.over_channels_high),
                _with_ends(row.over_untrained, row.over_untrained_low, row.over_untrained_high),
                *(formatted(row.mean(words), ".2f") for words in groups),
                formatted(row.explained, ".2f"),
                formatted(row.active, ".1f"),
                formatted(row.dead, ".2f"),
                formatted(row.stability, ".2f"),
                "-" if row.steered is None else str(row.steered),
            ]
            for row in self.rows
        ]
        return Table(headers, rows, "objects, walls, paths: mean F1 of concepts of a kind; JSON has every concept")


def _window(side: int) -> str:
    """Return the size of a window in words."""
    return f"{side}×{side}"


def _with_ends(value: float, low: float, high: float) -> str | Number:
    """Return a difference with its interval; a dash where there is none."""
    return formatted(value, "") if np.isnan(value) else f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
