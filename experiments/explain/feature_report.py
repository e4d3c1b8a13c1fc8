"""The result of `goalmaze explain --features`: one table of sparse features and their controls."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.records import Record, plain
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted
from goalmaze.experiments.statistics.intervals import Rate


@dataclasses.dataclass(frozen=True, kw_only=True)
class FeatureRow(Record):
    """One dictionary at one site.

    Attributes:
        dictionary: "sae relu", "sae topk", each also of an untrained network; "random", "channels" or "probes".
        site: the site.
        side: rows and columns of its windows; 1 for vectors.
        features: number of features.
        f1: mean over concepts of the F1 of the best single feature, chosen on fitting mazes.
        low: lower end of its interval over evaluation samples.
        high: upper end.
        concepts: the F1 of each concept; NaN where it occurs too rarely.
        explained: fraction of variance that the dictionary reconstructs on evaluation mazes.
        active: mean number of features above 0.
        dead: fraction of features that are 0 on all evaluation samples.
        stability: mean largest cosine with the features of another training seed.
        steered: how often the target is reached first where the best feature of "goal here" is set there; None for
            vectors, probes and untrained networks.
        strength: of that edit, chosen on fitting mazes.
    """

    dictionary: str
    site: str
    side: int
    features: int
    f1: float
    low: float
    high: float
    concepts: tuple[float, ...]
    explained: float
    active: float
    dead: float
    stability: float
    steered: Rate | None
    strength: float | None


@dataclasses.dataclass(frozen=True)
class FeatureReport(Result):
    """Dictionaries of an agent.

    Attributes:
        header: what was measured on.
        fit_levels: number of fitting mazes.
        concepts: names of the concepts.
        unedited: how often the target is reached first without an edit.
        moved: the same with goal and cue really moved there.
        rows: the dictionaries.
    """

    header: ResultHeader
    fit_levels: int
    concepts: tuple[str, ...]
    unedited: Rate
    moved: Rate
    rows: tuple[FeatureRow, ...]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header.json(),
            "fit_levels": self.fit_levels,
            "concepts": list(self.concepts),
            "unedited": plain(self.unedited),
            "moved": plain(self.moved),
            "rows": [row.json() for row in self.rows],
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return what was measured and the table."""
        headers = [
            "dictionary",
            "site",
            "window",
            "features",
            "F1",
            "explained",
            "active",
            "dead",
            "stability",
            "target first",
        ]
        rows = [
            [
                row.dictionary,
                row.site,
                f"{row.side}×{row.side}",
                row.features,
                f"{row.f1:.2f} [{row.low:.2f}, {row.high:.2f}]",
                formatted(row.explained, ".2f"),
                formatted(row.active, ".1f"),
                formatted(row.dead, ".2f"),
                formatted(row.stability, ".2f"),
                "-" if row.steered is None else str(row.steered),
            ]
            for row in self.rows
        ]
        return [
            f"{self.header.agent}: F1 of the best single feature for each of {len(self.concepts)} concepts, chosen on "
            f"{self.fit_levels} mazes and scored on {self.header.levels} others\ntarget first: the best feature of "
            f"'{self.concepts[0]}' is set at a random target; without an edit {self.unedited}, with goal and "
            f"cue really moved {self.moved}",
            Table(headers, rows),
        ]
