"""The result of explaining every channel: rows of channels and sites, as tables and JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy.stats

from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.records import Record
from goalmaze.experiments.common.results import Result, ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.probes.units.circuit import Edge
from goalmaze.probes.units.formula import Formula
from goalmaze.probes.units.interventions import Behaviour

LISTED = 12
"""Channels in the printed table, those whose replacement by the mean changes the policy most; JSON has all."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnitRow(Record):
    """One channel.

    Attributes:
        site: its site.
        channel: its number.
        explanation: the formula in words, weights in standard deviations of the channel.
        length: number of features in it.
        r2: on evaluation mazes; NaN where the channel is constant.
        correlation: with its simulation there.
        detection: balanced accuracy of "the activation is in its highest tenth", 0.5 by chance.
        r2_untrained: of the same search for the channel of this number in an untrained network.
        r2_shuffled: of the explanation of another channel of the site, scaled to fit this one.
        r2_plane: of the best single entry of the observation, scaled to fit.
        plane: which entry that is.
        intervention_kl: KL of the policy where the channel is replaced by its simulation, in nats.
        mean_kl: the same by its mean.
        solved: rate of training-distribution levels solved with the simulation.
        preference: rate at which the cue is reached before the goal with the simulation.
    """

    site: str
    channel: int
    explanation: str
    length: int
    r2: float
    correlation: float
    detection: float
    r2_untrained: float
    r2_shuffled: float
    r2_plane: float
    plane: str
    intervention_kl: float
    mean_kl: float
    solved: float
    preference: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class SiteRow(Record):
    """All channels of one site; means are over channels that vary, of R² that is 0 at least.

    Attributes:
        site: the site.
        channels: their number.
        constant: number of channels that are constant on the evaluation mazes.
        r2: mean R²: the fraction of the site that is explained.
        r2_low: lower end of its interval over mazes.
        r2_high: upper end.
        r2_untrained: the same of an untrained network.
        difference: trained minus untrained.
        difference_low: lower end of its interval over mazes.
        difference_high: upper end.
        r2_shuffled: of explanations of other channels.
        r2_plane: of the best single entry of the observation.
        length: mean number of features of a formula.
        cue_weight: of the weight of terms that name either the goal or the cue, the fraction that names the cue. A
            channel counts as much as its replacement by its mean changes the policy; NaN where nothing was replaced.
        site_kl: KL of the policy where all channels are replaced by their simulations at once, in nats.
        site_mean_kl: the same by their means.
        site_solved: rate solved with the whole site simulated.
        site_preference: preference with the whole site simulated.
    """

    site: str
    channels: int
    constant: int
    r2: float
    r2_low: float
    r2_high: float
    r2_untrained: float
    difference: float
    difference_low: float
    difference_high: float
    r2_shuffled: float
    r2_plane: float
    length: float
    cue_weight: float
    site_kl: float
    site_mean_kl: float
    site_solved: float
    site_preference: float


@dataclasses.dataclass(frozen=True)
class UnitReport(Result):
    """Every channel of an agent explained.

    Attributes:
        header: what was measured on; its levels are the evaluation mazes.
        fit_levels: number of fitting mazes.
        states: number of states of the interventions.
        before: what the unedited agent reaches there.
        rows: the channels.
        sites: the sites.
        edges: edges between channels, tested by patching.
        formulas: site → the formula of each channel, which `goalmaze.probes.units` can run.
        pictures: the files drawn.
    """

    header: ResultHeader
    fit_levels: int
    states: int
    before: Behaviour
    rows: tuple[UnitRow, ...]
    sites: tuple[SiteRow, ...]
    edges: tuple[Edge, ...]
    formulas: Mapping[str, Sequence[Formula]]
    pictures: tuple[Path, ...] = ()

    def explanation(self, site: str, channel: int) -> str:
        """Return the formula of a channel in words; empty where it was not explained."""
        return next((row.explanation for row in self.rows if (row.site, row.channel) == (site, channel)), "")

    def edge_correlation(self) -> tuple[float, float]:
        """Return the rank correlation of strength and KL over the tested edges, and its p; NaN with fewer than 8."""
        if len(self.edges) < 8:
            return float("nan"), float("nan")
        result = scipy.stats.spearmanr([edge.strength for edge in self.edges], [edge.kl for edge in self.edges])
        return float(result.statistic), float(result.pvalue)

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        correlation, p = self.edge_correlation()
        return {
            **self.header.json(),
            "fit_levels": self.fit_levels,
            "states": self.states,
            "solved": number(self.before.solved),
            "preference": number(self.before.preference),
            "rows": [row.json() for row in self.rows],
            "sites": [row.json() for row in self.sites],
            "edges": [_edge_json(edge) for edge in self.edges],
            "edge_correlation": number(correlation),
            "edge_p": number(p),
            "pictures": [str(path) for path in self.pictures],
        }

    def blocks(self) -> Sequence[str | Table]:
        """Return what was measured, a table of sites, the channels that matter most, and the strongest edges."""
        return [
            f"{self.header.agent}: every channel as a formula over what lies around a square, searched on "
            f"{self.fit_levels} mazes and scored on {self.header.levels} others, half of them with goal and cue apart\n"
            f"interventions on {self.states} states; unedited: solved {self.before.solved:.2f}, preference for the cue "
            f"{self.before.preference:.2f}",
            self.site_table(),
            self.unit_table(),
            *self._edge_blocks(),
            *(f"picture: {path}" for path in self.pictures),
        ]

    def site_table(self) -> Table:
        """Return the table of sites."""
        headers = ["site", "R²", "untrained", "difference", "shuffled", "plane", "length", "constant", "cue named"]
        headers += ["KL", "KL of means", "solved", "preference"]
        rows = [
            [
                row.site,
                f"{row.r2:.2f} [{row.r2_low:.2f}, {row.r2_high:.2f}]",
                formatted(row.r2_untrained, ".2f"),
                f"{row.difference:+.2f} [{row.difference_low:+.2f}, {row.difference_high:+.2f}]",
                formatted(row.r2_shuffled, ".2f"),
                formatted(row.r2_plane, ".2f"),
                formatted(row.length, ".1f"),
                f"{row.constant}/{row.channels}",
                formatted(row.cue_weight, ".2f"),
                formatted(row.site_kl, ".3f"),
                formatted(row.site_mean_kl, ".3f"),
                formatted(row.site_solved, ".2f"),
                formatted(row.site_preference, ".2f"),
            ]
            for row in self.sites
        ]
        title = "sites: mean R² of channels; KL, solved, preference with all channels of the site simulated at once"
        return Table(headers, rows, title)

    def unit_table(self) -> Table:
        """Return the table of the channels that the policy uses most."""
        ranked = sorted(self.rows, key=lambda row: -np.nan_to_num(row.mean_kl, nan=-1.0))[:LISTED]
        headers = ["channel", "R²", "untrained", "detection", "KL", "KL of mean", "explanation"]
        rows = [
            [
                f"{row.site} {row.channel}",
                formatted(row.r2, ".2f"),
                formatted(row.r2_untrained, ".2f"),
                formatted(row.detection, ".2f"),
                formatted(row.intervention_kl, ".3f"),
                formatted(row.mean_kl, ".3f"),
                row.explanation,
            ]
            for row in ranked
        ]
        return Table(headers, rows, "channels whose replacement by their mean changes the policy most; JSON has all")

    def _edge_blocks(self) -> list[str | Table]:
        if not self.edges:
            return ["no circuit: the network has no residual blocks of which each reads the one before"]
        correlation, p = self.edge_correlation()
        half = len(self.edges) // 2
        strong, drawn = (
            float(np.median([edge.kl for edge in part])) for part in (self.edges[:half], self.edges[half:])
        )
        rows = [
            [f"{edge.site} {edge.channel}", f"{edge.above} {edge.onto}", f"{edge.strength:.2f}", f"{edge.kl:.4f}"]
            for edge in sorted(self.edges, key=lambda edge: -edge.kl)[:LISTED]
        ]
        return [
            f"circuit: {half} strongest edges by weight × activation change the policy by {strong:.4f} nats in the "
            f"median when patched, {len(self.edges) - half} edges drawn at random by {drawn:.4f}; rank correlation of "
            f"strength and effect {correlation:.2f} (p = {p:.2g})",
            Table(["from", "to", "strength", "KL"], rows, "edges with the largest effect of those tested"),
        ]


def _edge_json(edge: Edge) -> Mapping[str, object]:
    return {**dataclasses.asdict(edge), "strength": number(edge.strength), "kl": number(edge.kl, 6)}
