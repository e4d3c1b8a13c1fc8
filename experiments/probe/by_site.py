"""What probes predict from an agent's activations at each site, and whether writing their directions steers it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import TypedDict, get_args

from tqdm import tqdm

from goalmaze.agents.loading import Agent
from goalmaze.agents.sites import map_sites
from goalmaze.envs.json_data import JsonObject
from goalmaze.experiments.common.parallel import side_by_side
from goalmaze.experiments.common.results import ResultHeader
from goalmaze.experiments.common.tables import Table, formatted, number
from goalmaze.experiments.evaluate.fitted_results import FittedResult
from goalmaze.experiments.evaluate.training_overlap import quick_overlap
from goalmaze.experiments.probe.splits import Distributions, Splits, gather_splits
from goalmaze.experiments.retarget.task import RetargetingTask, draw_retargeting_task
from goalmaze.experiments.statistics.intervals import Rate
from goalmaze.probes.readout.fitting import SquareProbe
from goalmaze.probes.readout.probe_data import ProbeData
from goalmaze.probes.readout.probe_fitter import ProbeKind, suitable_probe_kinds
from goalmaze.probes.readout.site_reader import ProbeResult, SiteReader, Verdict
from goalmaze.probes.steering.probe_direction import direction_pattern
from goalmaze.probes.targets import target_names

BASELINES = ("observation", "centred", "untrained", "shuffled", "majority")
COLUMNS = (
    "site",
    "probe",
    "score",
    *BASELINES,
    "selectivity",
    "p",
    "steers",
    "unedited",
    "evidence",
)
LEGEND = (
    "probe: square, window: of the channels of every square, or of the 3x3 window around it; agent, agent-window: of "
    "the agent's own square, or of the 3x3 window around the agent; global: of all features together\n"
    "observation, untrained, shuffled, majority: scores of the same probe without the trained network\n"
    "centred: score of a linear probe of the whole observation centred on the agent\n"
    "selectivity: the score minus that on a control task, which the probe can only memorise\n"
    "p: permutation test over mazes\n"
    "steers: rate of mazes on which writing the probe's direction at a random cell brings the agent there before the "
    "goal; unedited: the same without writing\n"
    "evidence: yes where the 95 % interval of the score over mazes lies above those of all baselines and p is at most "
    "0.05; – where that cannot be decided: a baseline is so close to 1 that no score lies above its interval"
)
MARKS: dict[Verdict, str] = {"evidence": "yes", "no evidence": "no", "undecidable": "–"}
"""Verdict → how tables print it."""


@dataclasses.dataclass(frozen=True)
class SteeredProbe:
    """A probe's result beside the steering that tests it.

    Attributes:
        result: the score of the probe and its baselines.
        steered: rate of mazes on which writing the probe's direction at a random cell brings the agent there before the
            goal; None where the probe has no direction, or the concept is no cell that the agent can pursue.
        unsteered: the same rate without writing.
    """

    result: ProbeResult
    steered: Rate | None
    unsteered: Rate

    def json(self) -> JsonObject:
        """Return the result as plain data."""
        result = self.result
        return {
            "site": result.site,
            "target": result.concept,
            "probe": result.kind,
            "measure": result.metric,
            "score": number(result.score.value),
            "score_interval": {"low": number(result.score.low), "high": number(result.score.high)},
            "baselines": {name: number(baseline.value) for name, baseline in result.baselines.items()},
            "control_task": number(result.control.value),
            "selectivity": number(result.selectivity),
            "p": number(result.p),
            "evidence": None if result.verdict == "undecidable" else result.verdict == "evidence",
            "steering": {
                "target": None if self.steered is None else number(self.steered.value),
                "unedited": number(self.unsteered.value),
            },
        }

    def row(self) -> list[object]:
        """Return the result as a row of the table."""
        result = self.result

        def value(baseline: str) -> float | None:
            return result.baselines[baseline].value if baseline in result.baselines else None

        return [
            result.site,
            result.kind,
            result.score,
            *(formatted(value(name), ".2f") for name in BASELINES),
            formatted(result.selectivity, ".2f"),
            formatted(result.p, ".3f"),
            formatted(None if self.steered is None else self.steered.value, ".2f"),
            formatted(None if self.steered is None else self.unsteered.value, ".2f"),
            MARKS[result.verdict],
        ]


@dataclasses.dataclass(frozen=True)
class ProbeReport(FittedResult):
    """The results of one agent at all sites.

    Attributes:
        distributions: the levels that were fitted on and evaluated on.
        probes: the results, site by site.
    """

    distributions: Distributions
    probes: tuple[SteeredProbe, ...]

    @property
    def targets(self) -> list[str]:
        """The concepts, in order."""
        return list(dict.fromkeys(one.result.concept for one in self.probes))

    @property
    def verdicts(self) -> dict[Verdict, int]:
        """The number of results of each verdict."""
        counts = Counter(one.result.verdict for one in self.probes)
        return {verdict: counts[verdict] for verdict in get_args(Verdict)}

    def of_target(self, target: str) -> list[SteeredProbe]:
        """Return the results of one concept, site by site."""
        return [one for one in self.probes if one.result.concept == target]

    def json(self) -> JsonObject:
        """Return the report as plain data."""
        return {
            **self.header_json(),
            **self.distributions.json(),
            "verdicts": dict(self.verdicts),
            "sites": [one.json() for one in self.probes],
        }

    def blocks(self) -> list[str | Table]:
        """Return a heading, a table for each target, the number of each verdict, and the definitions of the columns."""
        header, verdicts = self.header, self.verdicts
        tables = []
        for target in self.targets:
            rows = self.of_target(target)
            title = f"{target}: {rows[0].result.metric}"
            tables.append(Table(COLUMNS, [one.row() for one in rows], title))
        return [
            f"{header.agent} on {header.family} {header.size}x{header.size}: "
            f"{self.distributions.heading(header.levels, self.fit_levels)}\n{self.overlap.sentence}",
            *tables,
            f"{verdicts['evidence']} of {len(self.probes)} readings are evidence, {verdicts['no evidence']} are not, "
            f"{verdicts['undecidable']} cannot be decided",
            LEGEND,
        ]


class ProbeOptions(TypedDict, total=False):
    """The options that probes by site, by channel and by checkpoint share; see `probe`."""

    targets: Sequence[str]
    sites: Sequence[str]
    shift: str | None
    fit_shift: str | None
    size: int | None
    levels: int
    fit_levels: int
    seed: int


def probe(
    agent: Agent,
    targets: Sequence[str] = (),
    sites: Sequence[str] = (),
    *,
    probe: ProbeKind = "square",
    shift: str | None = None,
    fit_shift: str | None = None,
    size: int | None = None,
    levels: int = 512,
    fit_levels: int = 2048,
    seed: int = 0,
) -> ProbeReport:
    """Fit a probe for every site and target, beside its baselines and the steering that tests it.

    Without a shift, probes are fitted and evaluated on one distribution that has goal and cue on different cells: the
    training distribution where it has, otherwise the family's distinguishing shift.

    Args:
        agent: the agent, loaded or made in memory.
        targets: the concepts to predict: some of `concept_names`, or only "all"; the cells of goal and cue and the one
            pursued where not given.
        sites: where activations are read; all sites where not given.
        probe: the kind of probe at maps. With "square" and "window", concepts with one class or number for the maze are
            read by all of "agent", "agent-window" and "global". Sites that are no maps always use "global".
        shift: fit on the training distribution and evaluate under this shift of the family; "none" evaluates on the
            training distribution too.
        fit_shift: with `shift`, fit under this shift instead.
        size: rows and columns of the mazes, in cells; the agent's own where not given.
        levels: number of held-out evaluation levels.
        fit_levels: number of levels that probes are fitted on.
        seed: of the levels, the sampled actions, the untrained network and the controls.

    Raises:
        GoalmazeError: a site or target is unknown, or too few levels have a label.

    Example:
        >>> import goalmaze as gm
        >>> agent = gm.load("zoo:green-exit")
        >>> report = gm.probe(agent, targets=["sign"], sites=["stem"], levels=64, fit_levels=256)
        >>> report.probes[0].result.score.value > 0.9
        True
    """
    counts = {"levels": levels, "fit_levels": fit_levels, "seed": seed}
    splits = gather_splits(agent, targets, sites, shift=shift, fit_shift=fit_shift, size=size, **counts)
    family = agent.family.resized(size)
    results = _probe_sites(agent, probe, splits, draw_retargeting_task(family, levels, seed), seed)
    header = ResultHeader(agent.name, family.name, family.size, levels, seed)
    overlap = quick_overlap(agent, splits.evaluation.levels)
    return ProbeReport(header, fit_levels, overlap, splits.distributions, tuple(results))


def _probe_sites(
    agent: Agent, probe: ProbeKind, splits: Splits, task: RetargetingTask, seed: int
) -> list[SteeredProbe]:
    """Return the results of all sites, in their order, beside the steering on the mazes of a task."""
    # Steering is tested where goal and cue lie on one cell, as in training: the probe's direction is then the only
    # other sign of a goal.
    unsteered = task.evaluate(agent.policy).overall.other
    fit, results = splits.fit, []
    reader = SiteReader(fit, splits.evaluation, seed)
    names = list(fit.trained)
    # Sites are independent; results come back in the order of the sites.
    by_site = side_by_side(lambda site: _read_site(site, agent, probe, fit, reader), names)
    for at_site in tqdm(by_site, total=len(names), desc="probing", unit="site", leave=False, disable=None):
        for result in at_site:
            steered = _steered(agent, result, fit, task) if result.concept in target_names(task.family) else None
            results.append(SteeredProbe(result, steered, unsteered))
    return results


def _read_site(site: str, agent: Agent, preferred: ProbeKind, fit: ProbeData, reader: SiteReader) -> list[ProbeResult]:
    """Return the results of all concepts and kinds of probes that can predict them at a site."""
    is_map = site in map_sites(agent.network)
    concepts_by_kind: dict[ProbeKind, list[str]] = {}
    for concept, labels in fit.labels.items():
        # Concepts of one kind of probe are read together, because their fits share an eigenbasis.
        for kind in suitable_probe_kinds(labels.label_type, preferred, is_map=is_map):
            concepts_by_kind.setdefault(kind, []).append(concept)
    return [result for kind, concepts in concepts_by_kind.items() for result in reader.read(site, concepts, kind)]


def _steered(agent: Agent, result: ProbeResult, fit: ProbeData, task: RetargetingTask) -> Rate | None:
    """Return how often writing a probe's direction steers the agent; None where the probe has no direction."""
    # Only a probe with one direction for all squares can be written on a single square.
    if not isinstance(result.probe, SquareProbe):
        return None
    maps, labels = fit.trained[result.site], fit.labels[result.concept].values
    # A maze without a label has no square whose score could be compared.
    known = labels >= 0
    pattern = direction_pattern(result.site, result.probe.direction, maps[known], labels[known])
    return task.evaluate(agent.policy, task.edits(pattern)).overall.other
